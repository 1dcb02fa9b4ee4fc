"""3x3 convolutions by Winograd's F(4x4, 3x3): Lavin & Gray 2016, arXiv:1509.09308, section 4.3.

A tile of 4x4 outputs depends on 6x6 inputs d. In one dimension, the algorithm multiplies the values
of two polynomials at the points 0, 1, -1, 2, -2 and infinity. In two dimensions there are 36 pairs
of points, called points below. With U = G k G^T and V = B^T d B,

    z = A^T M A,   M = U * V, summed over the input channels,

where * multiplies element by element: 36 multiplications instead of 4 * 4 * 9 = 144. So M is one
matrix product for each of the 36 points, [tiles, channels_in] times [channels_in, channels].
Outputs of tiles that extend beyond the map are not stored.

The backward pass applies the adjoint of each linear map, from the outside in: dM = A dz A^T; then,
for each point, dU = V^T dM and dV = dM U^T; then dk = G^T dU G and dd = B dV B^T, summed where
tiles overlap. It computes V again: storing V would take 36 / 16 of the memory of the input.

Rounding errors are larger than in a direct convolution, since the transforms add terms that cancel
each other, with factors from 1 / 24 to 8: Barabasz et al. 2020, "Error Analysis and Improving the
Accuracy of Winograd Convolution for Deep Neural Networks", arXiv:1803.10986.

Layout, with T = tiles^2 tiles in an image: U is [36, channels_in, channels], V is [36, group * T,
channels_in] and M is [36, group * T, channels]. A block of `group` images makes a matrix of 25 rows
or more. Backward, U^T, dU, V and M take 310 KiB if 16 channels become 24, so they fit into an L2
cache of 512 KiB.

Cost per image: 36 * T * channels_in * channels multiplications forward, twice as many backward. To
compute V and z takes at most 144 * channels_in and 100 * channels additions or multiply-adds per
tile.
"""

import numpy as np

from study.engine.compilation import entry, inlined, kernel
from study.engine.epilogue import (
    backward_streams,
    finish_output,
    forward_streams,
    input_gradient,
    make_input,
    output_gradient,
    prefetch_ahead,
    remake_input,
)
from study.engine.memory import Bytes, Doubles, Floats
from study.engine.products import product
from study.engine.record import Plan, Record, record
from study.engine.vector import fma, load, noinline, splat, store
from study.engine.weights import pack, unpack

f32 = np.float32
G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32,
)  # fmt: skip

# One dimension of each transform; the other dimension uses the same function. The matrices are
# those of Lavin & Gray; common terms are computed once.


@inlined
def to_points(d0, d1, d2, d3, d4, d5):  # type: ignore[no-untyped-def]
    """Return B^T d."""
    two, four, less_two = splat(f32(2)), splat(f32(4)), splat(f32(-2))
    less_four, less_five = splat(f32(-4)), splat(f32(-5))
    p, q, r, s = fma(less_four, d2, d4), fma(less_four, d1, d3), d4 - d2, d3 - d1
    first = fma(four, d0, fma(less_five, d2, d4))
    last = fma(four, d1, fma(less_five, d3, d5))
    return first, p + q, p - q, fma(two, s, r), fma(less_two, s, r), last


@inlined
def from_points(m0, m1, m2, m3, m4, m5):  # type: ignore[no-untyped-def]
    """Return A^T m."""
    e, d, f, g = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    second, third = fma(splat(f32(2)), g, d), fma(splat(f32(4)), f, e)
    return m0 + e + f, second, third, fma(splat(f32(8)), g, d) + m5


@inlined
def spread_output(y0, y1, y2, y3):  # type: ignore[no-untyped-def]
    """Return A y, the adjoint of `from_points`."""
    four = splat(f32(4))
    e, d, f, g = y0 + y2, y1 + y3, fma(four, y2, y0), fma(four, y3, y1)
    return y0, e + d, e - d, fma(splat(f32(2)), g, f), fma(splat(f32(-2)), g, f), y3


@inlined
def spread_points(t0, t1, t2, t3, t4, t5):  # type: ignore[no-untyped-def]
    """Return B t, the adjoint of `to_points`."""
    two, four, less_two = splat(f32(2)), splat(f32(4)), splat(f32(-2))
    less_four, less_five = splat(f32(-4)), splat(f32(-5))
    p, q, r, s = t1 + t2, t1 - t2, t3 + t4, t3 - t4
    second = fma(four, t5, fma(less_four, q, less_two * s))
    third = fma(less_five, t0, fma(less_four, p, splat(f32(0)) - r))
    return four * t0, second, third, fma(less_five, t5, fma(two, s, q)), t0 + p + r, t5


@inlined
def load_six(m, at, step):  # type: ignore[no-untyped-def]
    """Return six vectors, `step` apart."""
    return (
        load(m, at), load(m, at + step), load(m, at + 2 * step),
        load(m, at + 3 * step), load(m, at + 4 * step), load(m, at + 5 * step),
    )  # fmt: skip


@inlined
def load_four(m, at, step):  # type: ignore[no-untyped-def]
    """Return four vectors, `step` apart."""
    return load(m, at), load(m, at + step), load(m, at + 2 * step), load(m, at + 3 * step)


@inlined
def store_six(m, at, step, values):  # type: ignore[no-untyped-def]
    """Store six vectors, `step` apart."""
    store(m, at, values[0])
    store(m, at + step, values[1])
    store(m, at + 2 * step, values[2])
    store(m, at + 3 * step, values[3])
    store(m, at + 4 * step, values[4])
    store(m, at + 5 * step, values[5])


@inlined
def add_six(m, at, step, values):  # type: ignore[no-untyped-def]
    """Add six vectors to the memory, `step` apart."""
    store(m, at, load(m, at) + values[0])
    store(m, at + step, load(m, at + step) + values[1])
    store(m, at + 2 * step, load(m, at + 2 * step) + values[2])
    store(m, at + 3 * step, load(m, at + 3 * step) + values[3])
    store(m, at + 4 * step, load(m, at + 4 * step) + values[4])
    store(m, at + 5 * step, load(m, at + 5 * step) + values[5])


@kernel
def tiles_in(m: Floats, section: Record, a: int, ty: int, tile: int, step: int) -> None:
    """Compute V of a row of tiles: B^T d B of every 6x6 window, in steps of 4, of the frame at `a`.

    `ty` is the number of the row, `tile` the place of its first tile in V and `step` the distance
    between points, in floats. Columns are transformed first, and only once where windows overlap.
    """
    noinline()
    c, tiles, scratch = section.channels_in, section.tiles, section.scratch
    wide, row = 4 * tiles + 2, section.width * c
    for v in range(0, c, 8):
        at = a + 4 * ty * row + v
        for x in range(wide):
            d = load_six(m, at + x * c, row)
            store_six(m, scratch + 8 * x, 8 * wide, to_points(d[0], d[1], d[2], d[3], d[4], d[5]))
        for y in range(6):
            for tx in range(tiles):
                d = load_six(m, scratch + 8 * (y * wide + 4 * tx), 8)
                v6 = to_points(d[0], d[1], d[2], d[3], d[4], d[5])
                store_six(m, tile + 6 * y * step + tx * c + v, step, v6)


@kernel
def tiles_out(m: Floats, section: Record, ty: int, tile: int, step: int, z: int) -> None:
    """Compute z of a row of tiles: A^T M A, inside the map."""
    noinline()
    c, size, scratch = section.channels, section.size, section.scratch
    for tx in range(section.tiles):
        for v in range(0, c, 8):
            at = tile + tx * c + v
            for x in range(6):
                d = load_six(m, at + x * step, 6 * step)
                y4 = from_points(d[0], d[1], d[2], d[3], d[4], d[5])
                store(m, scratch + 8 * x, y4[0])
                store(m, scratch + 8 * (6 + x), y4[1])
                store(m, scratch + 8 * (12 + x), y4[2])
                store(m, scratch + 8 * (18 + x), y4[3])
            left = size - 4 * tx
            for y in range(min(4, size - 4 * ty)):
                d = load_six(m, scratch + 48 * y, 8)
                y4 = from_points(d[0], d[1], d[2], d[3], d[4], d[5])
                o = z + ((4 * ty + y) * size + 4 * tx) * c + v
                store(m, o, y4[0])
                if left > 1:
                    store(m, o + c, y4[1])
                if left > 2:
                    store(m, o + 2 * c, y4[2])
                if left > 3:
                    store(m, o + 3 * c, y4[3])


@kernel
def tiles_out_back(m: Floats, section: Record, dz: int, ty: int, tile: int, step: int) -> None:
    """Compute dM of a row of tiles: A dz A^T, of the frame at `dz`, which is 0 outside the map."""
    noinline()
    c, scratch = section.channels, section.scratch
    row = section.dz_width * c
    for tx in range(section.tiles):
        for v in range(0, c, 8):
            at = dz + 4 * ty * row + 4 * tx * c + v
            for x in range(4):
                d = load_four(m, at + x * c, row)
                store_six(m, scratch + 8 * x, 32, spread_output(d[0], d[1], d[2], d[3]))
            for y in range(6):
                d = load_four(m, scratch + 32 * y, 8)
                m6 = spread_output(d[0], d[1], d[2], d[3])
                store_six(m, tile + 6 * y * step + tx * c + v, step, m6)


@kernel
def tiles_in_back(m: Floats, section: Record, ty: int, tile: int, step: int, da: int) -> None:
    """Add dd = B dV B^T of a row of tiles to the frame at `da`; first set its new rows to 0."""
    noinline()
    c, scratch = section.channels_in, section.scratch
    row = section.width * c
    m[da + (4 * ty + (2 if ty else 0)) * row : da + (4 * ty + 6) * row] = 0
    for tx in range(section.tiles):
        for v in range(0, c, 8):
            at = tile + tx * c + v
            for x in range(6):
                d = load_six(m, at + x * step, 6 * step)
                v6 = spread_points(d[0], d[1], d[2], d[3], d[4], d[5])
                store_six(m, scratch + 8 * x, 48, v6)
            for y in range(6):
                d = load_six(m, scratch + 48 * y, 8)
                t = spread_points(d[0], d[1], d[2], d[3], d[4], d[5])
                o = da + (4 * ty + y) * row + 4 * tx * c + v
                add_six(m, o, c, t)


@kernel
def transform_weights(m: Floats, section: Record) -> None:
    """Compute U = G k G^T [36, channels_in, channels] of k [9, channels_in, channels], and U^T."""
    ci, co = section.channels_in, section.channels
    cc = ci * co
    # Slices tell Numba that no index is negative.
    k, us, uts = m[section.k :], m[section.us :], m[section.uts :]
    t = np.empty((6, 3, cc), f32)
    for r in range(6):
        for x in range(3):
            k0, k1, k2 = k[x * cc :], k[(3 + x) * cc :], k[(6 + x) * cc :]
            for i in range(cc):
                t[r, x, i] = G[r, 0] * k0[i] + G[r, 1] * k1[i] + G[r, 2] * k2[i]
    for r in range(6):
        for s in range(6):
            u = us[(r * 6 + s) * cc :]
            for i in range(cc):
                u[i] = G[s, 0] * t[r, 0, i] + G[s, 1] * t[r, 1, i] + G[s, 2] * t[r, 2, i]
    for f in range(36):
        for i in range(ci):
            for o in range(co):
                uts[f * cc + o * ci + i] = us[f * cc + i * co + o]


@kernel
def transform_weights_back(m: Floats, section: Record) -> None:
    """Compute dk = G^T dU G."""
    cc, dus, dk = section.channels_in * section.channels, section.dus, section.dk
    t = np.zeros((3, 6, cc), f32)
    for x in range(3):
        for r in range(6):
            for s in range(6):
                u = m[dus + (r * 6 + s) * cc :]
                for i in range(cc):
                    t[x, s, i] += G[r, x] * u[i]
    k = m[dk:]
    for x in range(3):
        for y in range(3):
            for i in range(cc):
                value = f32(0)
                for s in range(6):
                    value += G[s, y] * t[x, s, i]
                k[(x * 3 + y) * cc + i] = value


@entry
def forward(
    m: Floats,
    d: Doubles,
    images: Bytes,
    plan: Plan,
    index: int,
    n: int,
    training: bool,
    reverse: bool,
) -> None:
    """Compute the output z of section `index` for n images, and its statistics."""
    section = record(plan, index)
    pack(m, section)
    transform_weights(m, section)
    ci, co, tiles, group, size = (
        section.channels_in, section.channels, section.tiles, section.group, section.size,
    )  # fmt: skip
    frame, per, padding = section.width * section.width * ci, tiles * tiles, section.padding
    streams, blocks = forward_streams(plan, index, training, 36), (n + group - 1) // group
    for turn in range(blocks):
        start = (blocks - 1 - turn if reverse else turn) * group
        count = min(group, n - start)
        step, step_out = count * per * ci, count * per * co
        for j in range(count):
            done, a = 0, section.a + j * frame
            for ty in range(tiles):
                # The windows of these tiles end at row 4 * ty + 6 of the frame.
                needed = max(min(section.size_in, 4 * ty + 6 - padding), done)
                make_input(m, images, plan, index, start + j, done, needed, training, a)
                done = needed
                tiles_in(m, section, a, ty, section.vs + (j * per + ty * tiles) * ci, step)
        for f in range(36):
            prefetch_ahead(m, streams, start, group, reverse, n, f)
            product(
                m, section.vs + f * step, ci, False, section.us + f * ci * co, co,
                section.ms + f * step_out, co, count * per, co, section.true_in, False,
            )  # fmt: skip
        for j in range(count):
            z = section.z + (start + j) * size * size * co
            for ty in range(tiles):
                tiles_out(m, section, ty, section.ms + (j * per + ty * tiles) * co, step_out, z)
                finish_output(m, d, section, start + j, 4 * ty, min(size, 4 * ty + 4), training)


@entry
def backward(
    m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
) -> None:
    """Compute the gradients of section `index` with respect to its weights and its input."""
    section, before = record(plan, index), record(plan, index - 1)
    ci, co, tiles, group, size = (
        section.channels_in, section.channels, section.tiles, section.group, section.size,
    )  # fmt: skip
    frame, per, padding = section.width * section.width * ci, tiles * tiles, section.padding
    frame_out = section.dz_width * section.dz_width * co
    streams, blocks = backward_streams(plan, index, 36), (n + group - 1) // group
    m[section.dus : section.dus + 36 * ci * co] = 0
    for turn in range(blocks):
        start = (blocks - 1 - turn if reverse else turn) * group
        count = min(group, n - start)
        step, step_out = count * per * ci, count * per * co
        for j in range(count):
            done, a, dz = 0, section.a + j * frame, section.dz + j * frame_out
            for ty in range(tiles):
                needed = max(min(section.size_in, 4 * ty + 6 - padding), done)
                remake_input(m, images, plan, index, start + j, done, needed, a)
                done = needed
                tiles_in(m, section, a, ty, section.vs + (j * per + ty * tiles) * ci, step)
                output_gradient(m, d, section, start + j, 4 * ty, min(size, 4 * ty + 4), dz)
                place = section.ms + (j * per + ty * tiles) * co
                tiles_out_back(m, section, dz, ty, place, step_out)
        for f in range(36):
            prefetch_ahead(m, streams, start, group, reverse, n, f)
            v, u, w = section.vs + f * step, f * ci * co, section.ms + f * step_out
            product(
                m, v, ci, True, w, co, section.dus + u, co, section.true_in, co, count * per, True
            )
            product(
                m, w, co, False, section.uts + u, ci, v, ci,
                count * per, ci, section.true_channels, False,
            )  # fmt: skip
        for j in range(count):
            done, da = 0, section.da + j * frame
            for ty in range(tiles):
                tiles_in_back(m, section, ty, section.vs + (j * per + ty * tiles) * ci, step, da)
                # The next tiles add to the rows of the frame from 4 * ty + 4 on.
                ready = 4 * ty + 4 - padding if ty < tiles - 1 else section.size_in
                ready = max(min(section.size_in, ready), done)
                input_gradient(m, d, before, start + j, done, ready, da, section.width, padding)
                done = ready
    transform_weights_back(m, section)
    unpack(m, section, d)
