"""Layers that several models use."""

from torch import nn


def conv(channels_in: int, channels_out: int, kernel: int, padding: int = 0) -> nn.Conv2d:
    """Return a convolution with a square kernel, stride 1 and no bias."""
    return nn.Conv2d(channels_in, channels_out, kernel, padding=padding, bias=False)
