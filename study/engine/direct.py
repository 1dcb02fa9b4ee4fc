"""Convolutions with one input channel per output channel: 3x3 of the image, and depthwise ones.

As matrix products they would have a depth of kernel^2, too little for `product`. With a 3x3 kernel,
a pass keeps the 9 weights of 8 channels in registers and moves along a row of pixels; with other
kernels, which are depthwise, it reads the weights for each pixel. Of an image, which has one
channel, it broadcasts each pixel to all 8 lanes. A depthwise convolution's gradient with respect to
its input is the same convolution of dz, padded by kernel - 1 zeros, with the weights in reverse
order.

Cost per image: size^2 * kernel^2 * channels multiplications forward, twice as many backward (the
same number in the first section, which needs no gradient of the image). Each multiplication of 8
channels loads a vector of inputs.
"""

from study.engine.compilation import entry, inlined, kernel
from study.engine.epilogue import (
    backward_streams,
    f32,
    finish_output,
    forward_streams,
    input_gradient,
    make_input,
    output_gradient,
    prefetch_ahead,
    remake_input,
)
from study.engine.memory import Bytes, Doubles, Floats
from study.engine.record import Plan, record
from study.engine.vector import (
    fma,
    load,
    load_nine,
    load_nine_splats,
    noinline,
    splat,
    store,
)
from study.engine.weights import clear_gradient, pack, unpack


@inlined
def dot(x, k):  # type: ignore[no-untyped-def]
    """Return the sum of nine products. The rows are independent chains, which run in parallel."""
    s, t, u = x[0] * k[0], x[3] * k[3], x[6] * k[6]
    s, t, u = fma(x[1], k[1], s), fma(x[4], k[4], t), fma(x[7], k[7], u)
    s, t, u = fma(x[2], k[2], s), fma(x[5], k[5], t), fma(x[8], k[8], u)
    return s + t + u


@inlined
def grow(s, x, g):  # type: ignore[no-untyped-def]
    """Add x * g to nine sums."""
    return (
        fma(x[0], g, s[0]), fma(x[1], g, s[1]), fma(x[2], g, s[2]),
        fma(x[3], g, s[3]), fma(x[4], g, s[4]), fma(x[5], g, s[5]),
        fma(x[6], g, s[6]), fma(x[7], g, s[7]), fma(x[8], g, s[8]),
    )  # fmt: skip


@inlined
def store_nine(m, at, step, s):  # type: ignore[no-untyped-def]
    """Store nine vectors, `step` apart."""
    store(m, at, s[0])
    store(m, at + step, s[1])
    store(m, at + 2 * step, s[2])
    store(m, at + 3 * step, s[3])
    store(m, at + 4 * step, s[4])
    store(m, at + 5 * step, s[5])
    store(m, at + 6 * step, s[6])
    store(m, at + 7 * step, s[7])
    store(m, at + 8 * step, s[8])


@kernel
def convolve(
    m: Floats,
    a: int,
    width: int,
    k: int,
    tap: int,
    kernel: int,
    channels: int,
    single: bool,
    z: int,
    rows: int,
    size: int,
) -> None:
    """Set z [rows, size, channels] to the convolution of `a` with the kernel at `k`.

    `a` is [rows + kernel - 1, width, channels], `k` [kernel^2, channels]. `tap` is the distance
    between weights, in floats; a negative one reverses their order. With `single`, `a` has one
    channel, which all output channels share, and the kernel is 3.
    """
    noinline()
    c = 1 if single else channels
    for y in range(rows):
        for v in range(0, channels, 8):
            row, out = a + y * width * c, z + y * size * channels + v
            if kernel != 3:
                for x in range(size):
                    s, weight = splat(f32(0)), k + v
                    for i in range(kernel):
                        for j in range(kernel):
                            window = load(m, row + (i * width + j + x) * c + v)
                            s = fma(window, load(m, weight), s)
                            weight += tap
                    store(m, out + x * channels, s)
            elif single:
                k9 = load_nine(m, k + v, tap, 3 * tap)
                for x in range(size):
                    store(m, out, dot(load_nine_splats(m, row + x, 1, width), k9))
                    out += channels
            else:
                k9, row = load_nine(m, k + v, tap, 3 * tap), row + v
                for _ in range(size):
                    store(m, out, dot(load_nine(m, row, c, width * c), k9))
                    row += c
                    out += c


@kernel
def convolve_weights(
    m: Floats,
    a: int,
    width: int,
    dz: int,
    dz_width: int,
    kernel: int,
    channels: int,
    single: bool,
    rows: int,
    size: int,
    dk: int,
) -> None:
    """Add the gradient of the weights to dk [kernel^2, channels].

    `a` and `single` are as in `convolve`; dz [rows, size, channels] has rows `dz_width` pixels
    apart.
    """
    noinline()
    c = 1 if single else channels
    for y in range(rows):
        for v in range(0, channels, 8):
            row, at = a + y * width * c, dz + y * dz_width * channels + v
            if kernel != 3:
                for i in range(kernel):
                    for j in range(kernel):
                        weight = dk + (i * kernel + j) * channels + v
                        s = load(m, weight)
                        for x in range(size):
                            window = load(m, row + (i * width + j + x) * c + v)
                            s = fma(window, load(m, at + x * channels), s)
                        store(m, weight, s)
            elif single:
                s9 = load_nine(m, dk + v, channels, 3 * channels)
                for x in range(size):
                    s9 = grow(s9, load_nine_splats(m, row + x, 1, width), load(m, at))
                    at += channels
                store_nine(m, dk + v, channels, s9)
            else:
                s9, row = load_nine(m, dk + v, channels, 3 * channels), row + v
                for _ in range(size):
                    s9 = grow(s9, load_nine(m, row, c, width * c), load(m, at))
                    row += c
                    at += c
                store_nine(m, dk + v, channels, s9)


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
    co, size, width, single = section.channels, section.size, section.width, index == 0
    line_in = width * section.channels_in
    rows = 2 if size > 12 else 4  # between two prefetches
    streams = forward_streams(plan, index, training, (size + rows - 1) // rows)
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        make_input(m, images, plan, index, image, 0, section.size_in, training, section.a)
        for y in range(0, size, rows):
            prefetch_ahead(m, streams, image, 1, reverse, n, y // rows)
            z, count = section.z + (image * size + y) * size * co, min(rows, size - y)
            a = section.a + y * line_in
            convolve(m, a, width, section.k, co, section.kernel, co, single, z, count, size)
        finish_output(m, d, section, image, 0, size, training)


@entry
def backward(
    m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
) -> None:
    """Compute the gradients of section `index` with respect to its weights and its input."""
    section, before = record(plan, index), record(plan, max(index - 1, 0))
    clear_gradient(m, section)
    co, size, width, single = section.channels, section.size, section.width, index == 0
    size_in, dz_width, kernel = section.size_in, section.dz_width, section.kernel
    line_in, line_out = width * section.channels_in, dz_width * co
    inner = section.dz + section.border * (dz_width + 1) * co
    rows = 1 if size > 12 else 4  # between two prefetches
    parts = (size + rows - 1) // rows + (0 if single else (size_in + rows - 1) // rows)
    streams = backward_streams(plan, index, parts)
    last = section.k + (kernel * kernel - 1) * co  # the last weight: they are taken in reverse
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        part = 0
        remake_input(m, images, plan, index, image, 0, size_in, section.a)
        output_gradient(m, d, section, image, 0, size, inner)
        for y in range(0, size, rows):
            prefetch_ahead(m, streams, image, 1, reverse, n, part)
            part += 1
            convolve_weights(
                m, section.a + y * line_in, width, inner + y * line_out, dz_width,
                kernel, co, single, min(rows, size - y), size, section.dk,
            )  # fmt: skip
        if not single:
            for y in range(0, size_in, rows):
                prefetch_ahead(m, streams, image, 1, reverse, n, part)
                part += 1
                dz = section.dz + section.padding * (dz_width + 1) * co + y * line_out
                da, count = section.da + y * size_in * co, min(rows, size_in - y)
                convolve(m, dz, dz_width, last, -co, kernel, co, False, da, count, size_in)
            input_gradient(m, d, before, image, 0, size_in, section.da, size_in, 0)
    unpack(m, section, d)
