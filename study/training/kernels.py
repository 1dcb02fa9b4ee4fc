"""Kernels of the fused epilogue: ReLU, batch norm, dropout and max-pooling in one pass over memory.

All arrays are flat views of channels-last memory [n, h, w, c]: element i belongs to channel i % c.
Torch's separate operations are limited by memory traffic, most of which one pass saves.

The argument `lower_clip` of many kernels is the lower bound that x is clipped to before all else:
0 is ReLU, minus infinity none.
"""

import numpy as np
from numpy.typing import NDArray

from study.training.jit import compiled

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
RngState = NDArray[np.uint64]

N_STREAMS = 32  # generators side by side, so that the compiler can use vector instructions
CHUNK = 1024  # elements per inner loop, rounded down to whole groups of channels
DRAWS_PER_ROUND = 4 * N_STREAMS  # 16-bit numbers, when each generator draws once
ZERO, ONE, TWO, THREE = (np.float32(corner) for corner in range(4))  # of a 2x2 window


def rng_state(seed: np.random.SeedSequence) -> RngState:
    """Return the state [4, N_STREAMS] of SFC64 generators; the j-th is seeded by child j."""
    states = [np.random.SFC64(child).state["state"]["state"] for child in seed.spawn(N_STREAMS)]
    return np.stack(states, axis=1)


@compiled
def draw_mask(state: RngState, threshold: int, mask: Bytes) -> None:
    """Set each element to 1 if a random 16-bit number is at least `threshold`, else to 0.

    Advances `state`. The generator is SFC64 (Doty-Humphrey 2010), as in numpy.
    """
    a, b, c, counter = state[0], state[1], state[2], state[3]
    words = np.empty(N_STREAMS, np.uint64)
    draws = words.view(np.uint16)
    least = np.uint16(threshold)  # the type of the draws, so that vector instructions apply
    for start in range(0, mask.size, DRAWS_PER_ROUND):
        for j in range(N_STREAMS):
            word = a[j] + b[j] + counter[j]
            counter[j] += np.uint64(1)
            a[j] = b[j] ^ (b[j] >> np.uint64(11))
            b[j] = c[j] + (c[j] << np.uint64(3))
            c[j] = ((c[j] << np.uint64(24)) | (c[j] >> np.uint64(40))) + word
            words[j] = word
        part = mask[start : start + DRAWS_PER_ROUND]
        for i in range(part.size):
            part[i] = draws[i] >= least


@compiled
def batch_stats(x: Floats, channels: int, lower_clip: np.float32) -> tuple[Doubles, Doubles]:
    """Return mean and biased variance [channels] of max(x, lower_clip)."""
    width = channels * (CHUNK // channels)
    sums, squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    mean, variance = np.zeros(channels), np.zeros(channels)
    for start in range(0, x.size, width):
        part = x[start : start + width]
        for i in range(part.size):
            value = max(part[i], lower_clip)
            sums[i] += value
            squares[i] += value * value
        # Single precision is exact enough for 16 additions; then on to double precision.
        if start // width % 16 == 15 or start + width >= x.size:
            for i in range(width):
                mean[i % channels] += sums[i]
                variance[i % channels] += squares[i]
                sums[i] = 0
                squares[i] = 0
    rows = x.size // channels
    for channel in range(channels):
        mean[channel] /= rows
        variance[channel] = variance[channel] / rows - mean[channel] ** 2
    return mean, variance


@compiled
def transform(
    x: Floats, mask: Bytes, scale: Floats, shift: Floats, lower_clip: np.float32, y: Floats
) -> None:
    """Set y to (max(x, lower_clip) * scale + shift) * mask; scale and shift [c] are per channel."""
    channels = scale.size
    width = channels * (CHUNK // channels)
    scales, shifts = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(width):
        scales[i], shifts[i] = scale[i % channels], shift[i % channels]
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, ys = x[start:end], mask[start:end], y[start:end]
        for i in range(xs.size):
            ys[i] = (max(xs[i], lower_clip) * scales[i] + shifts[i]) * np.float32(masks[i])


@compiled
def transform_and_pool(
    x: Floats,
    mask: Bytes,
    scale: Floats,
    shift: Floats,
    lower_clip: np.float32,
    height: int,
    width: int,
    y: Floats,
    largest: Floats,
    argmax: Bytes,
    kept: Bytes,
) -> None:
    """Apply `transform`, then set y to the maximum of each 2x2 window.

    `mask` is [n, h // 2, 4, w // 2, c]: the windows' four corners one after the other, by row and
    column. For the maximum, `argmax` is set to its corner, 0 to 3, `largest` to its
    max(x, lower_clip), and `kept` to its mask. A last odd row or column is in no window.
    """
    channels = scale.size
    line = width // 2 * channels
    scales, shifts = np.empty(4 * line, np.float32), np.empty(4 * line, np.float32)
    for i in range(4 * line):
        scales[i], shifts[i] = scale[i % channels], shift[i % channels]
    # All in single precision: vector instructions need one width. All in slices: Numba does not
    # recognize unpacked rows of a matrix as contiguous.
    values, drawn = np.empty(4 * line, np.float32), np.empty(4 * line, np.float32)
    results = np.empty(4 * line, np.float32)
    winner, keep = np.empty(line, np.float32), np.empty(line, np.float32)
    second, third, fourth = line, 2 * line, 3 * line
    x0, x1, x2, x3 = values[:second], values[second:third], values[third:fourth], values[fourth:]
    m0, m1, m2, m3 = drawn[:second], drawn[second:third], drawn[third:fourth], drawn[fourth:]
    y0, y1, y2, y3 = (
        results[:second], results[second:third], results[third:fourth], results[fourth:],
    )  # fmt: skip
    start = 0
    for image in range(x.size // (height * width * channels)):
        for row in range(height // 2):
            split_windows(x, (image * height + 2 * row) * width * channels, width, channels, values)
            masks = mask[4 * start : 4 * (start + line)]
            for i in range(masks.size):
                drawn[i] = np.float32(masks[i])
            for i in range(values.size):
                results[i] = (max(values[i], lower_clip) * scales[i] + shifts[i]) * drawn[i]

            end = start + line
            ys, largests, kepts = y[start:end], largest[start:end], kept[start:end]
            argmaxes = argmax[start:end]
            for i in range(line):
                a, b, c, d = y0[i], y1[i], y2[i], y3[i]
                upper = ONE if b > a else ZERO
                lower = THREE if d > c else TWO
                winner[i] = lower if max(c, d) > max(a, b) else upper
            for i in range(line):
                a, b, c, d = y0[i], y1[i], y2[i], y3[i]
                ys[i] = max(max(a, b), max(c, d))
            for i in range(line):
                a, b, c, d, where = x0[i], x1[i], x2[i], x3[i], winner[i]
                upper = b if where == ONE else a
                lower = d if where == THREE else c
                largests[i] = max(lower if where > ONE else upper, lower_clip)
            for i in range(line):
                a, b, c, d, where = m0[i], m1[i], m2[i], m3[i], winner[i]
                upper = b if where == ONE else a
                lower = d if where == THREE else c
                keep[i] = lower if where > ONE else upper
            for i in range(line):
                kepts[i] = np.uint8(keep[i])
            for i in range(line):
                argmaxes[i] = np.uint8(winner[i])
            start = end


@compiled
def split_windows(x: Floats, start: int, width: int, channels: int, corners: Floats) -> None:
    """Copy two rows of `x`, from `start` on, to `corners` [4, w // 2, c] of their 2x2 windows."""
    line = width // 2 * channels
    for k in range(4):
        first = start + ((k // 2) * width + k % 2) * channels
        for column in range(width // 2):
            here, there = first + 2 * column * channels, k * line + column * channels
            source, target = x[here : here + channels], corners[there : there + channels]
            for c in range(channels):
                target[c] = source[c]


@compiled
def merge_windows(corners: Floats, x: Floats, start: int, width: int, channels: int) -> None:
    """Copy `corners` back to their places in `x`; the inverse of `split_windows`."""
    line = width // 2 * channels
    for k in range(4):
        first = start + ((k // 2) * width + k % 2) * channels
        for column in range(width // 2):
            here, there = first + 2 * column * channels, k * line + column * channels
            source, target = corners[there : there + channels], x[here : here + channels]
            for c in range(channels):
                target[c] = source[c]


@compiled
def gradient_sums(
    x: Floats, mask: Bytes, gradient: Floats, channels: int, lower_clip: np.float32
) -> tuple[Doubles, Doubles]:
    """Return, per channel, the sums of gradient * mask and of that times max(x, lower_clip)."""
    width = channels * (CHUNK // channels)
    sums, products = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, total_product = np.zeros(channels), np.zeros(channels)
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, gradients = x[start:end], mask[start:end], gradient[start:end]
        for i in range(xs.size):
            kept = gradients[i] * np.float32(masks[i])
            sums[i] += kept
            products[i] += kept * max(xs[i], lower_clip)
        if start // width % 16 == 15 or end >= x.size:
            for i in range(width):
                total[i % channels] += sums[i]
                total_product[i % channels] += products[i]
                sums[i] = 0
                products[i] = 0
    return total, total_product


@compiled
def gradient_transform(
    x: Floats,
    mask: Bytes,
    gradient: Floats,
    scale: Floats,
    slope: Floats,
    shift: Floats,
    lower_clip: np.float32,
) -> None:
    """Set x to gradient * mask * scale + x * slope + shift where x > lower_clip, else to 0.

    The gradient of `transform`, in place because x is in the processor's cache.
    """
    channels = scale.size
    width = channels * (CHUNK // channels)
    scales, slopes = np.empty(width, np.float32), np.empty(width, np.float32)
    shifts = np.empty(width, np.float32)
    for i in range(width):
        scales[i], slopes[i] = scale[i % channels], slope[i % channels]
        shifts[i] = shift[i % channels]
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, gradients = x[start:end], mask[start:end], gradient[start:end]
        for i in range(xs.size):
            value = gradients[i] * np.float32(masks[i]) * scales[i] + xs[i] * slopes[i] + shifts[i]
            xs[i] = value if xs[i] > lower_clip else np.float32(0)


@compiled
def gradient_transform_and_unpool(
    x: Floats,
    argmax: Bytes,
    kept: Bytes,
    gradient: Floats,
    scale: Floats,
    slope: Floats,
    shift: Floats,
    lower_clip: np.float32,
    height: int,
    width: int,
) -> None:
    """Set x to the gradient of `transform_and_pool`, as `gradient_transform` does, in place."""
    channels = scale.size
    line = width // 2 * channels
    scales, slopes = np.empty(line, np.float32), np.empty(line, np.float32)
    shifts = np.empty(line, np.float32)
    for i in range(line):
        scales[i], slopes[i] = scale[i % channels], slope[i % channels]
        shifts[i] = shift[i % channels]
    values = np.empty(4 * line, np.float32)
    scaled, winner = np.empty(line, np.float32), np.empty(line, np.float32)
    start = 0
    for image in range(x.size // (height * width * channels)):
        for row in range(height // 2):
            rows = (image * height + 2 * row) * width * channels
            split_windows(x, rows, width, channels, values)
            end = start + line
            gradients, argmaxes, kepts = gradient[start:end], argmax[start:end], kept[start:end]
            for i in range(line):
                scaled[i] = gradients[i] * np.float32(kepts[i]) * scales[i]
            for i in range(line):
                winner[i] = np.float32(argmaxes[i])
            for k in range(4):
                xs, here = values[k * line : (k + 1) * line], np.float32(k)
                for i in range(line):
                    value = scaled[i] if winner[i] == here else np.float32(0)
                    value += xs[i] * slopes[i] + shifts[i]
                    xs[i] = value if xs[i] > lower_clip else np.float32(0)
            merge_windows(values, x, rows, width, channels)
            start = end
        # An odd row or column is in no window, but its values are part of the batch statistics.
        last = (image + 1) * height * width * channels
        for row in range(height):
            outside = width % 2 if row < height // 2 * 2 else width
            end_of_row = last - (height - row - 1) * width * channels
            rest = x[end_of_row - outside * channels : end_of_row]
            for i in range(rest.size):
                value = rest[i] * slopes[i % channels] + shifts[i % channels]
                rest[i] = value if rest[i] > lower_clip else np.float32(0)
