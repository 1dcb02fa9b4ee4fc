"""Model 6 without redundant parameters, and with more channels for them.

A convolution scales its input itself, so the gain of a norm before it adds nothing, and its offset
adds what a bias can. Norms have neither here.
"""

from collections.abc import Iterator

from torch import nn


def model(dropout: float) -> nn.Sequential:
    """Return the lean Model 6: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16, affine=False),
        nn.Dropout(dropout),
        *separable(16, 24, dropout),
        *separable(24, 24, dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        # Block 2: 11x11 to 5x5
        *separable(24, 36, dropout),
        *separable(36, 36, dropout),
        *separable(36, 36, dropout),
        *separable(36, 36, dropout, padding=1),
        # Output: 5x5 to 1x1
        nn.AvgPool2d(5),
        nn.Conv2d(36, 10, 1),
        nn.Flatten(),
    )


def separable(
    channels_in: int, channels_out: int, dropout: float, padding: int = 0
) -> Iterator[nn.Module]:
    """Yield a depthwise separable 3x3 convolution: within each channel, then across channels."""
    yield nn.Conv2d(channels_in, channels_in, 3, padding=padding, groups=channels_in, bias=False)
    yield nn.BatchNorm2d(channels_in, affine=False)
    yield nn.Conv2d(channels_in, channels_out, 1)
    yield nn.ReLU()
    yield nn.BatchNorm2d(channels_out, affine=False)
    yield nn.Dropout(dropout)
