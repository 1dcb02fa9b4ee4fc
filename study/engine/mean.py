"""Average pooling, and copies, which average one pixel.

A copy starts a new section for layers that do not fit behind one convolution, such as a second
batch norm. Each pass reads and writes its operands once.
"""

from study.engine.compilation import entry
from study.engine.epilogue import f32, finish_output, input_gradient, make_input, output_gradient
from study.engine.memory import Bytes, Doubles, Floats
from study.engine.record import Plan, record
from study.engine.vector import load, splat, store


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
    c, size, width, side = section.channels, section.size, section.width, section.kernel
    share = splat(f32(1 / (side * side)))
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        make_input(m, images, plan, index, image, 0, section.size_in, training, section.a)
        z = section.z + image * size * size * c
        for y in range(size):
            for x in range(size):
                for v in range(0, c, 8):
                    total, corner = splat(f32(0)), section.a + (y * width + x) * side * c + v
                    for i in range(side):
                        for j in range(side):
                            total = total + load(m, corner + (i * width + j) * c)
                    store(m, z + (y * size + x) * c + v, total * share)
        finish_output(m, d, section, image, 0, size, training)


@entry
def backward(
    m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
) -> None:
    """Compute the gradient of the input of section `index`; it stays 0 outside of all windows."""
    section, before = record(plan, index), record(plan, index - 1)
    c, size, width, side = section.channels, section.size, section.width, section.kernel
    share = splat(f32(1 / (side * side)))
    for turn in range(n):
        image = n - 1 - turn if reverse else turn
        output_gradient(m, d, section, image, 0, size, section.dz)
        for y in range(size):
            for x in range(size):
                for v in range(0, c, 8):
                    part = load(m, section.dz + (y * size + x) * c + v) * share
                    corner = section.da + (y * width + x) * side * c + v
                    for i in range(side):
                        for j in range(side):
                            store(m, corner + (i * width + j) * c, part)
        input_gradient(m, d, before, image, 0, section.size_in, section.da, width, 0)
