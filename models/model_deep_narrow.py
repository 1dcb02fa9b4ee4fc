"""A deep and narrow network of 3x3 convolutions, which course work has made known."""

from collections.abc import Iterator

from torch import nn


def model(dropout: float) -> nn.Sequential:
    """Return the deep, narrow network: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28
        *layer(1, 4, dropout),
        *layer(4, 4, dropout),
        *layer(4, 4, dropout),
        # Block 2: 14x14
        nn.MaxPool2d(2),
        *layer(4, 8, dropout),
        *layer(8, 8, dropout),
        *layer(8, 8, dropout),
        # Block 3: 7x7
        nn.MaxPool2d(2),
        *layer(8, 8, dropout),
        *layer(8, 8, dropout),
        *layer(8, 8, dropout),
        # Output: 7x7 to 1x1
        nn.AvgPool2d(7),
        nn.Conv2d(8, 10, 1),
        nn.Flatten(),
    )


def layer(channels_in: int, channels_out: int, dropout: float) -> Iterator[nn.Module]:
    """Yield a convolution that keeps the size of the map, and what follows it."""
    yield nn.Conv2d(channels_in, channels_out, 3, padding=1)
    yield nn.ReLU()
    yield nn.BatchNorm2d(channels_out)
    yield nn.Dropout(dropout)
