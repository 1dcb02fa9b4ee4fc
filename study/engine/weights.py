"""Conversion of weights from torch's layout to the kernels', and of gradients back.

Torch's layout is [channels, channels_in, height, width]. The kernels' is [taps, channels_in,
channels], where taps is height * width, with padded channels, so that the columns of a product are
whole vectors. A depthwise convolution has [channels, 1, height, width] and [taps, channels].
"""

from study.engine.compilation import kernel
from study.engine.memory import Doubles, Floats
from study.engine.record import Record


@kernel
def pack(m: Floats, stage: Record) -> None:
    """Set `k`, weights in the kernels' layout, and `bias_line`, the bias for a row of pixels."""
    taps, outputs = stage.kernel * stage.kernel, stage.true_channels
    inputs, padded = (stage.true_in, stage.channels_in) if stage.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[stage.weight + (o * inputs + i) * taps + t]
                m[stage.k + (t * padded + i) * stage.channels + o] = x
        if stage.biased:
            for x in range(stage.size):
                m[stage.bias_line + x * stage.channels + o] = m[stage.bias + o]


@kernel
def transpose(m: Floats, stage: Record, flip: bool) -> None:
    """Set `kt` to `k` as [channels, taps, channels_in]; of `dense` layers only.

    With `flip`, to [taps, channels, channels_in], with the taps in reverse order: the kernel,
    rotated by 180 degrees.
    """
    taps, ci, co = stage.kernel * stage.kernel, stage.channels_in, stage.channels
    for o in range(stage.true_channels):
        for t in range(taps):
            place = ((taps - 1 - t) * co + o) * ci if flip else (o * taps + t) * ci
            for i in range(stage.true_in):
                m[stage.kt + place + i] = m[stage.k + (t * ci + i) * co + o]


@kernel
def unpack(m: Floats, stage: Record, d: Doubles) -> None:
    """Set the gradients of weights and bias from `dk`, and from `bias_sums` in d."""
    taps, outputs = stage.kernel * stage.kernel, stage.true_channels
    inputs, padded = (stage.true_in, stage.channels_in) if stage.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[stage.dk + (t * padded + i) * stage.channels + o]
                m[stage.weight + stage.to_gradient + (o * inputs + i) * taps + t] = x
        if stage.biased:
            m[stage.bias + stage.to_gradient + o] = d[stage.bias_sums + o]


@kernel
def clear_gradient(m: Floats, stage: Record) -> None:
    """Set `dk`, the gradient of the weights in the kernels' layout, to 0."""
    size = stage.kernel * stage.kernel * stage.channels
    m[stage.dk : stage.dk + size * (stage.channels_in if stage.dense else 1)] = 0
