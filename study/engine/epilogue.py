"""The epilogue between two convolutions: ReLU, batch norm, dropout, pooling, and their gradients.

A convolution stores its output z once. The input of the next one,

    a = pool(mask * (scale * max(floor, z) + shift)),

is never stored: the next convolution's pass computes the rows that it needs in a scratch buffer,
and computes them again in its backward pass. `scale` and `shift`, one number per channel, combine
batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) with the factor of dropout, 1 / (1 -
probability); they are known when the batch's mean and variance are. `floor` is 0 if a ReLU precedes
the norm, else minus infinity. `pool` is the maximum of 2x2 windows, or nothing.

A dropout mask has a byte 0 or 1 for each element of z, or, if dropout follows pooling
(`drop_last`), for each element of pool(...). A ReLU after the norm (`rectified`) is a mask that
depends on the data: it commutes with dropout and pooling. The forward pass combines it with the
dropout mask and stores the result, the only mask that the backward pass uses.

Backward, the gradient of the loss with respect to z is

    dz = back_scale * g + back_slope * z + back_shift   where z > floor, else 0,

where g is the gradient with respect to a, times the mask; with pooling, it counts at the maximum of
each window, and is 0 elsewhere. The terms in z come from the gradients of mean and variance;
`fold_norm_gradient` has the formulas. The coefficients need the sums of g and of g * max(floor, z)
over the batch: `input_gradient` adds them up while g is in registers. Mean and variance need the
sums of x = max(floor, z) and x^2, which `finish_output` adds up.

All arrays are channels last, with channels padded to whole vectors: z is [n, size, size, channels].
A row of pixels is contiguous, and the coefficients are repeated for each pixel of a row (`scale` is
[size * channels]), so that loops over a row need not know where a pixel ends. Each function reads
and writes each of its operands once, with a few operations per number.
"""

from typing import Any

import numpy as np

from study.engine.compilation import entry, inlined, kernel
from study.engine.memory import Bytes, Doubles, Floats
from study.engine.record import SIDE, Plan, Record, record
from study.engine.vector import (
    above,
    beats,
    equal,
    fma,
    largest,
    load,
    load_bytes,
    load_bytes_like,
    load_like,
    noinline,
    prefetch,
    splat,
    store,
    store_bytes,
    wide_splat,
)
from study.networks.inputs import MEAN, SD

f32 = np.float32
PIXELS = SIDE * SIDE
COLUMNS = (*range(0, SIDE - 8, 8), SIDE - 8)
"""Where vectors of 8 pixels begin in a row; the last two overlap, since 28 is no multiple of 8."""
PIXEL_SCALE, PIXEL_SHIFT = f32(1 / (255 * SD)), f32(-MEAN / SD)


@kernel
def make_input(
    m: Floats,
    images: Bytes,
    plan: Plan,
    index: int,
    image: int,
    first: int,
    end: int,
    training: bool,
    to: int,
) -> None:
    """Write rows `first` to `end` of an image's input of section `index` into the frame at `to`.

    The frame [width, width, channels] has zeros around the map: the convolution's padding. Also
    store what the backward pass needs: in training, the mask of a rectified section; for each
    pooled window, the position of its maximum (`corner`), and max(floor, z) and the mask there
    (`source`, `kept`).
    """
    noinline()
    section = record(plan, index)
    if index == 0:
        width, scale, shift = section.width, splat(PIXEL_SCALE), splat(PIXEL_SHIFT)
        for row in range(first, end):
            source = image * PIXELS + row * SIDE
            target = to + (row + section.padding) * width + section.padding
            for x in COLUMNS:
                pixels = load_bytes(images, source + x)
                store(m, target + x, fma(pixels, scale, shift))
        return
    before = record(plan, index - 1)
    if before.pooled:
        pooled_input(m, before, image, first, end, training, to, section.width, section.padding)
    elif before.rectified:
        rectified_input(m, before, image, first, end, training, to, section.width, section.padding)
    else:
        masked = training and before.masked
        plain_input(
            m, before, before.z, before.mask, masked,
            image, first, end, to, section.width, section.padding,
        )  # fmt: skip


@kernel
def remake_input(
    m: Floats, images: Bytes, plan: Plan, index: int, image: int, first: int, end: int, to: int
) -> None:
    """Write the same as `make_input`, from what it stored."""
    section = record(plan, index)
    if index == 0:
        make_input(m, images, plan, index, image, first, end, True, to)
    else:
        before = record(plan, index - 1)
        plain_input(
            m, before, before.source, before.kept, before.masked,
            image, first, end, to, section.width, section.padding,
        )  # fmt: skip


@kernel
def plain_input(
    m: Floats,
    before: Record,
    source: int,
    mask: int,
    masked: bool,
    image: int,
    first: int,
    end: int,
    to: int,
    width: int,
    padding: int,
) -> None:
    """Write mask * (scale * max(floor, source) + shift)."""
    noinline()
    channels, line = before.channels, before.out * before.channels
    scale, shift, floor = before.scale, before.shift, splat(f32(before.floor))
    for row in range(first, end):
        at = (image * before.out + row) * line
        target = to + ((row + padding) * width + padding) * channels
        if masked:
            for i in range(0, line, 8):
                x = largest(floor, load(m, source + at + i))
                y = fma(x, load(m, scale + i), load(m, shift + i))
                store(m, target + i, y * load_bytes(m, mask + at + i))
        else:
            for i in range(0, line, 8):
                x = largest(floor, load(m, source + at + i))
                store(m, target + i, fma(x, load(m, scale + i), load(m, shift + i)))


@kernel
def rectified_input(
    m: Floats,
    before: Record,
    image: int,
    first: int,
    end: int,
    training: bool,
    to: int,
    width: int,
    padding: int,
) -> None:
    """Do the same as `plain_input`, with a ReLU after the norm, which becomes part of the mask."""
    noinline()
    channels, line = before.channels, before.out * before.channels
    scale, shift, floor = before.scale, before.shift, splat(f32(before.floor))
    zero, drawn = splat(f32(0)), training and before.drawn
    z, mask, out = before.z, before.mask, before.out  # otherwise LLVM reads them in every iteration
    for row in range(first, end):
        at = (image * out + row) * line
        target = to + ((row + padding) * width + padding) * channels
        for i in range(0, line, 8):
            x = largest(floor, load(m, z + at + i))
            y = fma(x, load(m, scale + i), load(m, shift + i))
            keep = load_bytes(m, mask + at + i) if drawn else splat(f32(1))
            keep = above(y, zero, keep, zero)
            if training:
                store_bytes(m, mask + at + i, keep)
            store(m, target + i, y * keep)


@kernel
def pooled_input(
    m: Floats,
    before: Record,
    image: int,
    first: int,
    end: int,
    training: bool,
    to: int,
    width: int,
    padding: int,
) -> None:
    """Write the maximum of each 2x2 window; an odd last row or column is ignored."""
    noinline()
    channels, size, out = before.channels, before.size, before.out
    drawn = training and before.drawn
    # Dropout draws a mask for each pixel, or for the maximum of each window.
    each, last = drawn and not before.drop_last, drawn and before.drop_last
    rectified = before.rectified
    unusual = last or rectified
    z, mask, scale, shift = before.z, before.mask, before.scale, before.shift
    source, corner, kepts = before.source, before.corner, before.kept
    floor, zero, one = splat(f32(before.floor)), splat(f32(0)), splat(f32(1))
    two, three = splat(f32(2)), splat(f32(3))
    m0 = m1 = m2 = m3 = one
    for row in range(first, end):
        for column in range(out):
            at = ((image * size + 2 * row) * size + 2 * column) * channels
            result = ((image * out + row) * out + column) * channels
            target = to + ((row + padding) * width + column + padding) * channels
            for v in range(0, channels, 8):
                z0 = z + at + v
                z2 = z0 + size * channels
                x0, x1 = largest(floor, load(m, z0)), largest(floor, load(m, z0 + channels))
                x2, x3 = largest(floor, load(m, z2)), largest(floor, load(m, z2 + channels))
                s, t = load(m, scale + v), load(m, shift + v)
                y0, y1, y2, y3 = fma(x0, s, t), fma(x1, s, t), fma(x2, s, t), fma(x3, s, t)
                if each:
                    i0 = mask + at + v
                    i2 = i0 + size * channels
                    m0, m1 = load_bytes(m, i0), load_bytes(m, i0 + channels)
                    m2, m3 = load_bytes(m, i2), load_bytes(m, i2 + channels)
                    y0, y1, y2, y3 = y0 * m0, y1 * m1, y2 * m2, y3 * m3
                upper, lower = beats(y1, y0, y1, y0), beats(y3, y2, y3, y2)
                y = beats(lower, upper, lower, upper)
                x01, x23 = beats(y1, y0, x1, x0), beats(y3, y2, x3, x2)
                c01, c23 = beats(y1, y0, one, zero), beats(y3, y2, three, two)
                m01, m23 = beats(y1, y0, m1, m0), beats(y3, y2, m3, m2)
                store(m, source + result + v, beats(lower, upper, x23, x01))
                store_bytes(m, corner + result + v, beats(lower, upper, c23, c01))
                store_bytes(m, kepts + result + v, beats(lower, upper, m23, m01))
                if unusual:
                    kept = load_bytes(m, (mask if last else kepts) + result + v)
                    kept = above(y, zero, kept, zero) if rectified else kept
                    y = y * kept
                    store_bytes(m, kepts + result + v, kept)
                store(m, target + v, y)


@inlined
def column_sums(m, floor, zero, z, line, rows, fresh, sums, squares):  # type: ignore[no-untyped-def]
    """Add max(floor, z) and its square, over rows, to the sums of one vector of columns.

    The vector is as wide as `zero`. Rows are `line` apart. With `fresh`, the sums start at 0.
    """
    s = zero if fresh else load_like(zero, m, sums)
    q = zero if fresh else load_like(zero, m, squares)
    for row in range(rows):
        x = largest(floor, load_like(zero, m, z + row * line))
        s, q = s + x, fma(x, x, q)
    store(m, sums, s)
    store(m, squares, q)


@inlined
def add_up(m, d, sums, totals, count):  # type: ignore[no-untyped-def]
    """Add the sums of one image to the totals over images."""
    # Slices tell Numba that no index is negative.
    part, total = m[sums : sums + count], d[totals : totals + count]
    for i in range(count):
        total[i] += part[i]


@kernel
def finish_output(
    m: Floats, d: Doubles, section: Record, image: int, first: int, end: int, training: bool
) -> None:
    """Finish rows `first` to `end` of an image's z: add the bias, and update the statistics.

    Sums over one image are in single precision, for each channel and column, so they have at most
    `size` terms; sums over columns and images are in double.
    """
    noinline()
    line = section.size * section.channels
    z = section.z + (image * section.size + first) * line
    rows = end - first
    if section.biased:
        for at in range(z, z + rows * line, line):
            for i in range(0, line, 8):
                store(m, at + i, load(m, at + i) + load(m, section.bias_line + i))
    if not (training and section.normed):
        return
    sums, squares, fresh = section.buffer, section.buffer + line, first == 0
    floor, zero = splat(f32(section.floor)), splat(f32(0))
    wide_floor, wide_zero = wide_splat(f32(section.floor)), wide_splat(f32(0))
    i = 0
    while i + 32 <= line:
        column_sums(m, wide_floor, wide_zero, z + i, line, rows, fresh, sums + i, squares + i)
        i += 32
    while i < line:
        column_sums(m, floor, zero, z + i, line, rows, fresh, sums + i, squares + i)
        i += 8
    if end == section.size:
        add_up(m, d, sums, section.statistics, 2 * line)


@inlined
def column_gradients(  # type: ignore[no-untyped-def]
    m, floor, zero, da, frame_line, mask, masked, z, g, line, rows, fresh, sums, products
):
    """Set g = da * mask, and add g and g * max(floor, z) to sums, as in `column_sums`."""
    s = zero if fresh else load_like(zero, m, sums)
    q = zero if fresh else load_like(zero, m, products)
    for row in range(rows):
        at = row * line
        grad = load_like(zero, m, da + row * frame_line)
        if masked:
            grad = grad * load_bytes_like(zero, m, mask + at)
        store(m, g + at, grad)
        x = largest(floor, load_like(zero, m, z + at))
        s, q = s + grad, fma(grad, x, q)
    store(m, sums, s)
    store(m, products, q)


@kernel
def input_gradient(
    m: Floats,
    d: Doubles,
    before: Record,
    image: int,
    first: int,
    end: int,
    da: int,
    width: int,
    padding: int,
) -> None:
    """Set the gradient g of the section before, of rows `first` to `end` of an image, and its sums.

    `da` is a frame [width, width, channels] like that of `make_input`, with the gradient with
    respect to a.
    """
    noinline()
    if end <= first:
        return
    line, frame_line = before.out * before.channels, width * before.channels
    rows, at = end - first, (image * before.out + first) * line
    da += ((first + padding) * width + padding) * before.channels
    sums, products, fresh = before.buffer, before.buffer + line, first == 0
    g, z, mask, masked = before.g + at, before.source + at, before.kept + at, before.masked
    floor, zero = splat(f32(before.floor)), splat(f32(0))
    wide_floor, wide_zero = wide_splat(f32(before.floor)), wide_splat(f32(0))
    i = 0
    while i + 32 <= line:
        column_gradients(
            m, wide_floor, wide_zero, da + i, frame_line, mask + i, masked, z + i, g + i,
            line, rows, fresh, sums + i, products + i,
        )  # fmt: skip
        i += 32
    while i < line:
        column_gradients(
            m, floor, zero, da + i, frame_line, mask + i, masked, z + i, g + i,
            line, rows, fresh, sums + i, products + i,
        )  # fmt: skip
        i += 8
    if end == before.out:
        add_up(m, d, sums, before.gradient_sums, 2 * line)


@kernel
def output_gradient(
    m: Floats, d: Doubles, section: Record, image: int, first: int, end: int, to: int
) -> None:
    """Write dz of rows `first` to `end` of an image into a frame [dz_width, dz_width, channels].

    `to` is the place of the map's first pixel in it. Also adds dz to the gradient of the bias, if
    there is one.
    """
    noinline()
    channels, size, width = section.channels, section.size, section.dz_width
    line = size * channels
    scale, slope, shift = section.back_scale, section.back_slope, section.back_shift
    z, g, corners, out, pooled = section.z, section.g, section.corner, section.out, section.pooled
    floor, zero = splat(f32(section.floor)), splat(f32(0))
    for row in range(first, end):
        source = (image * size + row) * line
        target = to + row * width * channels
        if not pooled:
            for i in range(0, line, 8):
                x = load(m, z + source + i)
                dz = fma(x, load(m, slope + i), load(m, shift + i))
                dz = fma(load(m, g + source + i), load(m, scale + i), dz)
                store(m, target + i, above(x, floor, dz, zero))
        else:
            windows = out if row // 2 < out else 0
            at = (image * out + row // 2) * out * channels
            for column in range(windows):
                for v in range(0, channels, 8):
                    won = load(m, g + at + v) * load(m, scale + v)
                    corner = load_bytes(m, corners + at + v)
                    s, t = load(m, slope + v), load(m, shift + v)
                    for side in range(2):
                        i = (2 * column + side) * channels + v
                        x = load(m, z + source + i)
                        here = splat(f32(2 * (row % 2) + side))
                        dz = equal(corner, here, won, zero) + fma(x, s, t)
                        store(m, target + i, above(x, floor, dz, zero))
                at += channels
            for i in range(2 * windows * channels, line, 8):  # pixels outside all windows
                x = load(m, z + source + i)
                dz = fma(x, load(m, slope + i), load(m, shift + i))
                store(m, target + i, above(x, floor, dz, zero))
        if section.biased:
            for v in range(0, channels, 8):
                total = zero
                for i in range(v, line, channels):
                    total = total + load(m, target + i)
                # Not in the buffer: it has the sums of the section before, if a pass goes by rows.
                store(m, section.scratch, total)
                for lane in range(8):
                    d[section.bias_sums + v + lane] += m[section.scratch + lane]


@inlined
def stream(base, size, parts):  # type: ignore[no-untyped-def]
    """Return arguments of `fetch`: an array's start, its floats per image, its floats per part."""
    return base, size, size // parts + 1


@kernel
def forward_streams(plan: Plan, index: int, training: bool, parts: int) -> Any:
    """Return the arrays that a forward pass reads and writes, to be prefetched in `parts` parts.

    There are five, as `stream` returns them; nothing is prefetched of (0, 0, 0).
    """
    section, before = record(plan, index), record(plan, max(index - 1, 0))
    size_z = section.size * section.size * section.channels
    size_in = before.size * before.size * before.channels if index > 0 else 0
    masked = training and before.drawn and not before.drop_last
    return (
        stream(before.z, size_in, parts),
        stream(before.mask // 4, size_in // 4 if masked else 0, parts),
        stream(section.z, size_z, parts),
        (0, 0, 0),
        (0, 0, 0),
    )


@kernel
def backward_streams(plan: Plan, index: int, parts: int) -> Any:
    """Return the arrays that a backward pass reads and writes, as in `forward_streams`."""
    section, before = record(plan, index), record(plan, max(index - 1, 0))
    size_z = section.size * section.size * section.channels
    size_g = section.out * section.out * section.channels
    size_in = before.out * before.out * before.channels if index > 0 else 0
    return (
        stream(before.source, size_in, parts),
        stream(before.kept // 4, size_in // 4 if before.masked else 0, parts),
        stream(before.g, size_in, parts),
        stream(section.z, size_z, parts),
        stream(section.g, size_g, parts),
    )


@inlined
def fetch(m, base, size, share, image, part):  # type: ignore[no-untyped-def]
    """Prefetch one part of an image's share of an array, by cache lines of 16 floats."""
    start = base + image * size + part * share
    for i in range(start, min(start + share, base + (image + 1) * size), 16):
        prefetch(m, i)


@kernel
def prefetch_ahead(
    m: Floats, streams: Any, start: int, group: int, reverse: bool, n: int, part: int
) -> None:
    """Prefetch one part of the memory that a pass will read and write for its next block.

    The pass is at the block of `group` images that starts with image `start`. Its products read
    from the caches only; meanwhile, the memory fetches the next block.
    """
    noinline()
    following, s = start - group if reverse else start + group, streams
    for image in range(max(following, 0), min(following + group, n)):
        fetch(m, s[0][0], s[0][1], s[0][2], image, part)
        fetch(m, s[1][0], s[1][1], s[1][2], image, part)
        fetch(m, s[2][0], s[2][1], s[2][2], image, part)
        fetch(m, s[3][0], s[3][1], s[3][2], image, part)
        fetch(m, s[4][0], s[4][1], s[4][2], image, part)


@entry
def fold_norm(m: Floats, d: Doubles, plan: Plan, index: int, n: int, training: bool) -> None:
    """Set a section's `scale` and `shift` from the batch's statistics, or from the running ones.

    With w the gain, b the offset and f the factor of dropout, scale = f w / sd and shift =
    f (b - w mean / sd), where sd = sqrt(variance + epsilon). In training, mean and variance are
    those of the `count` values per channel; the running mean moves towards the mean, and the
    running variance towards the unbiased one. In evaluation, mean and variance are the running
    ones, and f is 1.
    """
    section = record(plan, index)
    channels, size, count = section.channels, section.size, n * section.size * section.size
    factor = section.factor if training else 1.0
    for channel in range(channels):
        scale, shift = factor, 0.0
        if section.normed and channel < section.true_channels:
            running_mean, running_variance = (
                section.running_mean + channel,
                section.running_var + channel,
            )
            if training:
                total = square = 0.0
                for x in range(channel, size * channels, channels):
                    total += d[section.statistics + x]
                    square += d[section.statistics + size * channels + x]
                mean = total / count
                variance = square / count - mean * mean
                if variance < 0.0:
                    variance = 0.0
                unbiased = variance * count / (count - 1)
                momentum = f32(section.momentum)
                m[running_mean] += momentum * (f32(mean) - m[running_mean])
                m[running_variance] += momentum * (f32(unbiased) - m[running_variance])
            else:
                mean, variance = np.float64(m[running_mean]), np.float64(m[running_variance])
            sd = np.sqrt(variance + section.epsilon)
            d[section.mean + channel], d[section.sd + channel] = mean, sd
            scale = m[section.gain + channel] / sd
            shift = factor * (m[section.offset + channel] - scale * mean)
            scale *= factor
        for x in range(channel, size * channels, channels):
            m[section.scale + x], m[section.shift + x] = f32(scale), f32(shift)


@entry
def fold_norm_gradient(m: Floats, d: Doubles, plan: Plan, index: int, n: int) -> None:
    """Set a section's `back_scale`, `back_slope` and `back_shift`, and the gradients of its norm.

    Let x = max(floor, z), x^ = (x - mean) / sd, w the gain, b the offset and f the factor of
    dropout. From y = f (w x^ + b) follow db = f sum(g), dw = f sum(g x^), and

        dx = w / sd * (f g - db / count - x^ dw / count),   count = n * size * size

    (Ioffe & Szegedy 2015, section 3), where dx, dw and db are the gradients of the loss. The
    coefficients of g, x and 1 are `back_scale`, `back_slope` and `back_shift`.
    """
    section = record(plan, index)
    channels, size, line = section.channels, section.size, section.out * section.channels
    count, factor = n * section.size * section.size, section.factor
    for channel in range(channels):
        scale, slope, shift = factor, 0.0, 0.0
        if section.normed and channel < section.true_channels:
            total = product = 0.0
            for x in range(channel, line, channels):
                total += d[section.gradient_sums + x]
                product += d[section.gradient_sums + line + x]
            mean, sd = d[section.mean + channel], d[section.sd + channel]
            of_offset = factor * total
            of_gain = factor * (product - mean * total) / sd
            ratio = m[section.gain + channel] / sd
            slope = -ratio * of_gain / (count * sd)
            shift = -ratio * of_offset / count - slope * mean
            scale = factor * ratio
            m[section.gain + section.to_gradient + channel] = f32(of_gain)
            m[section.offset + section.to_gradient + channel] = f32(of_offset)
        for x in range(channel, size * channels, channels):
            m[section.back_scale + x] = f32(scale)
            m[section.back_slope + x], m[section.back_shift + x] = f32(slope), f32(shift)
