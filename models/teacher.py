"""The teacher: ten times as many parameters as Model 6, which learns its answers."""

from collections.abc import Iterator

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return the teacher: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 24x24
        *block(1, 32, dropout),
        *block(32, 32, dropout),
        # Transition: 24x24 to 12x12
        nn.MaxPool2d(2),
        # Block 2: 12x12 to 6x6
        *block(32, 64, dropout),
        *block(64, 64, dropout),
        *block(64, 64, dropout),
        # Output: 6x6 to 1x1
        nn.AvgPool2d(6),
        conv(64, 10, 1),
        nn.Flatten(),
    )


def block(channels_in: int, channels_out: int, dropout: float) -> Iterator[nn.Module]:
    """Yield a 3x3 convolution without padding, and what follows it."""
    yield conv(channels_in, channels_out, 3)
    yield nn.ReLU()
    yield nn.BatchNorm2d(channels_out)
    yield nn.Dropout(dropout)
