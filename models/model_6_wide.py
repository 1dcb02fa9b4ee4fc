"""The lean Model 6 with a weighted mean, one layer less in block 2, and 40 channels there.

Block 1 has fewer channels, so it costs a third less, and 40 channels fill whole vectors.
"""

from torch import nn

from models.model_6_lean import separable


def model(dropout: float) -> nn.Sequential:
    """Return the wide Model 6: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16, affine=False),
        nn.Dropout(dropout),
        *separable(16, 16, dropout),
        *separable(16, 24, dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        # Block 2: 11x11 to 5x5
        *separable(24, 40, dropout),
        *separable(40, 40, dropout),
        *separable(40, 40, dropout),
        # Output: 5x5 to 1x1
        nn.Conv2d(40, 40, 5, groups=40, bias=False),
        nn.Conv2d(40, 10, 1),
        nn.Flatten(),
    )
