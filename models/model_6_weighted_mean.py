"""The lean Model 6 with a weighted mean of the last map instead of the plain one.

Each channel weights the pixels of its map by 5x5 weights of its own (a depthwise convolution of the
whole map), and there are fewer channels for it.
"""

from torch import nn

from models.model_6_lean import separable


def model(dropout: float) -> nn.Sequential:
    """Return Model 6 with a weighted mean: images [n, 1, 28, 28] to logits [n, 10]."""
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
        *separable(24, 33, dropout),
        *separable(33, 33, dropout),
        *separable(33, 33, dropout),
        *separable(33, 33, dropout, padding=1),
        # Output: 5x5 to 1x1
        nn.Conv2d(33, 33, 5, groups=33, bias=False),
        nn.Conv2d(33, 10, 1),
        nn.Flatten(),
    )
