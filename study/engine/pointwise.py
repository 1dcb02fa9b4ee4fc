"""Convolutions that are one matrix product: 1x1 ones, and those whose window is the whole map.

With channels last, a 1x1 convolution of an image is the product of [pixels, channels_in] and
[channels_in, channels]. If the window is the whole map, it is the product of [images, pixels *
channels_in] and [pixels * channels_in, channels], without a change of layout. On maps of more than
8x8, a pass processes two rows of pixels at a time, which stay in the L1 cache from `make_input` to
the sums; on smaller maps, `group` whole images, so that the matrix has about 100 to 128 rows.

Cost per image: size^2 * depth * channels multiplications forward, twice as many backward, where
`depth` is that of the product. A 1x1 convolution multiplies each number that it reads only
`channels` times, so `prefetch_ahead` is called between all parts of a pass.
"""

from study.engine.compilation import entry
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
from study.engine.record import Plan, record
from study.engine.weights import clear_gradient, pack, transpose, unpack


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
    co, group, size = section.channels, section.group, section.size
    lines, row = section.rows, section.row
    ratio, line_in = section.size_in // size, section.size_in * section.channels_in
    blocks, parts = (n + group - 1) // group, 3 * ((size + lines - 1) // lines)
    streams = forward_streams(plan, index, training, parts)
    for turn in range(blocks):
        start = (blocks - 1 - turn if reverse else turn) * group
        count, part = min(group, n - start), 0
        for first in range(0, size, lines):
            end = min(first + lines, size)
            top, bottom = first * ratio, end * ratio
            held = (bottom - top) * line_in
            prefetch_ahead(m, streams, start, group, reverse, n, part)
            for j in range(count):
                a = section.a + j * held - top * line_in
                make_input(m, images, plan, index, start + j, top, bottom, training, a)
            prefetch_ahead(m, streams, start, group, reverse, n, part + 1)
            z, rows = section.z + (start * size + first) * size * co, count * (end - first) * size
            product(m, section.a, row, False, section.k, co, z, co, rows, co, section.depth, False)
            prefetch_ahead(m, streams, start, group, reverse, n, part + 2)
            for j in range(count):
                finish_output(m, d, section, start + j, first, end, training)
            part += 3


@entry
def backward(
    m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
) -> None:
    """Compute the gradients of section `index` with respect to its weights and its input."""
    section, before = record(plan, index), record(plan, max(index - 1, 0))
    clear_gradient(m, section)
    transpose(m, section, False)
    co, group, size = section.channels, section.group, section.size
    lines, row = section.rows, section.row
    ratio, line_in = section.size_in // size, section.size_in * section.channels_in
    blocks, parts = (n + group - 1) // group, 4 * ((size + lines - 1) // lines)
    streams = backward_streams(plan, index, parts)
    for turn in range(blocks):
        start = (blocks - 1 - turn if reverse else turn) * group
        count, part = min(group, n - start), 0
        for first in range(0, size, lines):
            end = min(first + lines, size)
            top, bottom = first * ratio, end * ratio
            held, held_out = (bottom - top) * line_in, (end - first) * size * co
            rows = count * (end - first) * size
            prefetch_ahead(m, streams, start, group, reverse, n, part)
            for j in range(count):
                a = section.a + j * held - top * line_in
                remake_input(m, images, plan, index, start + j, top, bottom, a)
                dz = section.dz + j * held_out - first * size * co
                output_gradient(m, d, section, start + j, first, end, dz)
            prefetch_ahead(m, streams, start, group, reverse, n, part + 1)
            product(
                m, section.a, row, True, section.dz, co, section.dk, co,
                section.depth, co, rows, True,
            )  # fmt: skip
            prefetch_ahead(m, streams, start, group, reverse, n, part + 2)
            if index > 0:
                product(
                    m, section.dz, co, False, section.kt, row, section.da, row,
                    rows, row, section.true_channels, False,
                )  # fmt: skip
            prefetch_ahead(m, streams, start, group, reverse, n, part + 3)
            if index > 0:
                for j in range(count):
                    da = section.da + j * held - top * line_in
                    input_gradient(m, d, before, start + j, top, bottom, da, section.size_in, 0)
            part += 4
    unpack(m, section, d)
