"""Model 6: depthwise separable convolutions, fewer than 8,000 parameters.

It aims at the write-up's target of more than 99.4% accuracy.
"""

from collections.abc import Iterator

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return Model 6: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        conv(1, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        *separable(16, 24, dropout),
        *separable(24, 24, dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        # Block 2: 11x11 to 5x5
        *separable(24, 34, dropout),
        *separable(34, 34, dropout),
        *separable(34, 34, dropout),
        *separable(34, 34, dropout, padding=1),
        # Output: 5x5 to 1x1
        nn.AvgPool2d(5),
        conv(34, 10, 1),
        nn.Flatten(),
    )


def separable(
    channels_in: int, channels_out: int, dropout: float, padding: int = 0
) -> Iterator[nn.Module]:
    """Yield a depthwise separable 3x3 convolution: within each channel, then across channels.

    There is no ReLU between the two (Chollet 2017, "Xception", arXiv:1610.02357). A standard
    convolution has up to nine times the weights.
    """
    yield nn.Conv2d(channels_in, channels_in, 3, padding=padding, groups=channels_in, bias=False)
    yield nn.BatchNorm2d(channels_in)
    yield conv(channels_in, channels_out, 1)
    yield nn.ReLU()
    yield nn.BatchNorm2d(channels_out)
    yield nn.Dropout(dropout)
