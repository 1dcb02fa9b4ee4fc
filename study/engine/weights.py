"""Conversion of weights from torch's layout to the kernels', and of gradients back.

Torch's layout is [channels, channels_in, height, width]. The kernels' is [taps, channels_in,
channels], where taps is height * width, with padded channels, so that the columns of a product are
whole vectors. A depthwise convolution has [channels, 1, height, width] and [taps, channels].
"""

from study.engine.compilation import kernel
from study.engine.memory import Doubles, Floats
from study.engine.record import Record


@kernel
def pack(m: Floats, section: Record) -> None:
    """Set `k`, weights in the kernels' layout, and `bias_line`, the bias for a row of pixels."""
    taps, outputs = section.kernel * section.kernel, section.true_channels
    inputs, padded = (section.true_in, section.channels_in) if section.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[section.weight + (o * inputs + i) * taps + t]
                m[section.k + (t * padded + i) * section.channels + o] = x
        if section.biased:
            for x in range(section.size):
                m[section.bias_line + x * section.channels + o] = m[section.bias + o]


@kernel
def transpose(m: Floats, section: Record, flip: bool) -> None:
    """Set `kt` to `k` as [channels, taps, channels_in]; of `dense` layers only.

    With `flip`, to [taps, channels, channels_in], with the taps in reverse order: the kernel,
    rotated by 180 degrees.
    """
    taps, ci, co = section.kernel * section.kernel, section.channels_in, section.channels
    for o in range(section.true_channels):
        for t in range(taps):
            place = ((taps - 1 - t) * co + o) * ci if flip else (o * taps + t) * ci
            for i in range(section.true_in):
                m[section.kt + place + i] = m[section.k + (t * ci + i) * co + o]


@kernel
def unpack(m: Floats, section: Record, d: Doubles) -> None:
    """Set the gradients of weights and bias from `dk`, and from `bias_sums` in d."""
    taps, outputs = section.kernel * section.kernel, section.true_channels
    inputs, padded = (section.true_in, section.channels_in) if section.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[section.dk + (t * padded + i) * section.channels + o]
                m[section.weight + section.to_gradient + (o * inputs + i) * taps + t] = x
        if section.biased:
            m[section.bias + section.to_gradient + o] = d[section.bias_sums + o]


@kernel
def clear_gradient(m: Floats, section: Record) -> None:
    """Set `dk`, the gradient of the weights in the kernels' layout, to 0."""
    size = section.kernel * section.kernel * section.channels
    m[section.dk : section.dk + size * (section.channels_in if section.dense else 1)] = 0
