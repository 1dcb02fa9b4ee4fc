"""Conversion of weights from torch's layout to the kernels', and of gradients back.

Torch's layout is [channels, channels_in, height, width]. The kernels' is [taps, channels_in,
channels], where taps is height * width, with padded channels, so that the columns of a product are
whole vectors. A depthwise convolution has [channels, 1, height, width] and [taps, channels].
"""

from study.engine.compilation import kernel
from study.engine.memory import Doubles, Floats
from study.engine.record import Layer


@kernel
def pack(m: Floats, layer: Layer) -> None:
    """Set `k`, weights in the kernels' layout, and `bias_line`, the bias for a row of pixels."""
    taps, outputs = layer.kernel * layer.kernel, layer.true_channels
    inputs, padded = (layer.true_in, layer.channels_in) if layer.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[layer.weight + (o * inputs + i) * taps + t]
                m[layer.k + (t * padded + i) * layer.channels + o] = x
        if layer.biased:
            for x in range(layer.size):
                m[layer.bias_line + x * layer.channels + o] = m[layer.bias + o]


@kernel
def transpose(m: Floats, layer: Layer, flip: bool) -> None:
    """Set `kt` to `k` as [channels, taps, channels_in]; of `dense` layers only.

    With `flip`, to [taps, channels, channels_in], with the taps in reverse order: the kernel,
    rotated by 180 degrees.
    """
    taps, ci, co = layer.kernel * layer.kernel, layer.channels_in, layer.channels
    for o in range(layer.true_channels):
        for t in range(taps):
            place = ((taps - 1 - t) * co + o) * ci if flip else (o * taps + t) * ci
            for i in range(layer.true_in):
                m[layer.kt + place + i] = m[layer.k + (t * ci + i) * co + o]


@kernel
def unpack(m: Floats, layer: Layer, d: Doubles) -> None:
    """Set the gradients of weights and bias from `dk`, and from `bias_sums` in d."""
    taps, outputs = layer.kernel * layer.kernel, layer.true_channels
    inputs, padded = (layer.true_in, layer.channels_in) if layer.dense else (1, 1)
    for o in range(outputs):
        for i in range(inputs):
            for t in range(taps):
                x = m[layer.dk + (t * padded + i) * layer.channels + o]
                m[layer.weight + layer.to_gradient + (o * inputs + i) * taps + t] = x
        if layer.biased:
            m[layer.bias + layer.to_gradient + o] = d[layer.bias_sums + o]


@kernel
def clear_gradient(m: Floats, layer: Layer) -> None:
    """Set `dk`, the gradient of the weights in the kernels' layout, to 0."""
    size = layer.kernel * layer.kernel * layer.channels
    m[layer.dk : layer.dk + size * (layer.channels_in if layer.dense else 1)] = 0
