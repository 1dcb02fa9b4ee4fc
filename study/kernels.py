"""What follows a convolution, in one pass over memory: ReLU, batch normalisation, dropout.

All arrays are flat views of channels-last memory: element i belongs to channel i % channels.
Against torch's separate operations this saves most of the memory traffic, which is what they cost.
"""

import numpy as np
from numpy.typing import NDArray

from study.compilation import compiled

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.uint8]
Lanes = NDArray[np.uint64]

LANES = 32  # generators side by side, so that the compiler can use vector instructions
STRETCH = 1024  # elements per inner loop, rounded down to whole groups of channels
DRAWS = 4 * LANES  # 16-bit numbers per round of all lanes


def lanes(seed: np.random.SeedSequence) -> Lanes:
    """Return the state [4, LANES] of as many SFC64 generators, lane j as numpy seeds child j."""
    states = [np.random.SFC64(child).state["state"]["state"] for child in seed.spawn(LANES)]
    return np.stack(states, axis=1)


@compiled
def draw_mask(state: Lanes, threshold: int, mask: Mask) -> None:
    """Set each element to 1 where a fresh 16-bit number is at least `threshold`, else to 0.

    Advances `state`. The generator is SFC64 (Doty-Humphrey 2010), as in numpy.
    """
    a, b, c, counter = state[0], state[1], state[2], state[3]
    words = np.empty(LANES, np.uint64)
    draws = words.view(np.uint16)
    for start in range(0, mask.size, DRAWS):
        for j in range(LANES):
            word = a[j] + b[j] + counter[j]
            counter[j] += np.uint64(1)
            a[j] = b[j] ^ (b[j] >> np.uint64(11))
            b[j] = c[j] + (c[j] << np.uint64(3))
            c[j] = ((c[j] << np.uint64(24)) | (c[j] >> np.uint64(40))) + word
            words[j] = word
        part = mask[start : start + DRAWS]
        for i in range(part.size):
            part[i] = draws[i] >= threshold


@compiled
def moments(x: Floats, channels: int, floor: np.float32) -> tuple[Doubles, Doubles]:
    """Return mean and biased variance [channels] of max(x, floor).

    A floor of 0 is ReLU, of minus infinity none.
    """
    width = channels * (STRETCH // channels)
    sums, squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    mean, variance = np.zeros(channels), np.zeros(channels)
    for start in range(0, x.size, width):
        part = x[start : start + width]
        for i in range(part.size):
            value = max(part[i], floor)
            sums[i] += value
            squares[i] += value * value
        # Into double precision after few enough additions for single precision to be exact enough.
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
    x: Floats, mask: Mask, scale: Floats, shift: Floats, floor: np.float32, y: Floats
) -> None:
    """Set y to (max(x, floor) * scale + shift) * mask, with scale and shift per channel."""
    channels = scale.size
    width = channels * (STRETCH // channels)
    scales, shifts = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(width):
        scales[i], shifts[i] = scale[i % channels], shift[i % channels]
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, ys = x[start:end], mask[start:end], y[start:end]
        for i in range(xs.size):
            ys[i] = (max(xs[i], floor) * scales[i] + shifts[i]) * np.float32(masks[i])


@compiled
def gradient_sums(
    x: Floats, mask: Mask, gradient: Floats, channels: int, floor: np.float32
) -> tuple[Doubles, Doubles]:
    """Return, per channel, the sums of gradient * mask and of that times max(x, floor)."""
    width = channels * (STRETCH // channels)
    sums, products = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, total_product = np.zeros(channels), np.zeros(channels)
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, gradients = x[start:end], mask[start:end], gradient[start:end]
        for i in range(xs.size):
            kept = gradients[i] * np.float32(masks[i])
            sums[i] += kept
            products[i] += kept * max(xs[i], floor)
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
    mask: Mask,
    gradient: Floats,
    scale: Floats,
    slope: Floats,
    shift: Floats,
    floor: np.float32,
    result: Floats,
) -> None:
    """Set result to gradient * mask * scale + x * slope + shift where x > floor, else to 0."""
    channels = scale.size
    width = channels * (STRETCH // channels)
    scales, slopes = np.empty(width, np.float32), np.empty(width, np.float32)
    shifts = np.empty(width, np.float32)
    for i in range(width):
        scales[i], slopes[i] = scale[i % channels], slope[i % channels]
        shifts[i] = shift[i % channels]
    for start in range(0, x.size, width):
        end = start + width
        xs, masks, gradients = x[start:end], mask[start:end], gradient[start:end]
        results = result[start:end]
        for i in range(xs.size):
            value = gradients[i] * np.float32(masks[i]) * scales[i] + xs[i] * slopes[i] + shifts[i]
            results[i] = value if xs[i] > floor else np.float32(0)
