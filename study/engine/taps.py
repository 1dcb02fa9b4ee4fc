"""Convolutions of all other sizes, as one matrix product per row of the kernel.

With channels last, the window of row i of the kernel that starts at pixel x is a run of kernel *
channels_in numbers, and the next window starts channels_in numbers later. So one row of pixels is a
matrix [size, kernel * channels_in] whose rows overlap in memory; it is multiplied by row i of the
kernel, [kernel * channels_in, channels], without being copied. z is the sum over the kernel's rows.

The gradient with respect to the input is the same convolution of dz, padded by kernel - 1 zeros,
with the kernel rotated by 180 degrees and transposed.

Cost per image: size^2 * kernel^2 * channels_in * channels multiplications forward, twice as many
backward. A row of z is read and written once for each row of the kernel, in the L1 cache.
"""

from study.engine.compilation import entry, kernel
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


@kernel
def convolve(
    m: Floats, a: int, width: int, ci: int, k: int, kernel: int, co: int, z: int, size: int
) -> None:
    """Compute one row of z [size, co] from the windows that start in one row of `a`.

    `a` is [kernel, width, ci] and k [kernel, kernel * ci, co].
    """
    for i in range(kernel):
        run = kernel * ci
        product(m, a + i * width * ci, ci, False, k + i * run * co, co, z, co, size, co, run, i > 0)


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
    ci, co, size, width = section.channels_in, section.channels, section.size, section.width
    streams = forward_streams(plan, index, training, size)
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        make_input(m, images, plan, index, image, 0, section.size_in, training, section.a)
        for y in range(size):
            prefetch_ahead(m, streams, image, 1, reverse, n, y)
            z = section.z + (image * size + y) * size * co
            convolve(
                m, section.a + y * width * ci, width, ci, section.k, section.kernel, co, z, size
            )
        finish_output(m, d, section, image, 0, size, training)


@entry
def backward(
    m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
) -> None:
    """Compute the gradients of section `index` with respect to its weights and its input."""
    section, before = record(plan, index), record(plan, max(index - 1, 0))
    clear_gradient(m, section)
    transpose(m, section, True)
    ci, co, size, width = section.channels_in, section.channels, section.size, section.width
    kernel, dz_width, run = section.kernel, section.dz_width, section.kernel * ci
    inner = section.dz + section.border * (dz_width + 1) * co
    streams = backward_streams(plan, index, size)
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        remake_input(m, images, plan, index, image, 0, section.size_in, section.a)
        output_gradient(m, d, section, image, 0, size, inner)
        for y in range(size):
            prefetch_ahead(m, streams, image, 1, reverse, n, y)
            dz = inner + y * dz_width * co
            for i in range(kernel):
                a = section.a + (y + i) * width * ci
                product(m, a, ci, True, dz, co, section.dk + i * run * co, co, run, co, size, True)
        if index > 0:
            for y in range(section.size_in):
                dz = section.dz + (section.padding * (dz_width + 1) + y * dz_width) * co
                da = section.da + y * section.size_in * ci
                convolve(m, dz, dz_width, co, section.kt, kernel, ci, da, section.size_in)
            input_gradient(m, d, before, image, 0, section.size_in, section.da, section.size_in, 0)
    unpack(m, section, d)
