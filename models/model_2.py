"""Model 2: Model 1 with batch normalization, and without its second ReLU."""

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return Model 2: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        conv(1, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Dropout(dropout),
        conv(8, 16, 3),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 24, 3),
        nn.ReLU(),
        nn.BatchNorm2d(24),
        nn.Dropout(dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        conv(24, 8, 1),
        # Block 2: 11x11 to 7x7
        conv(8, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 24, 3),
        nn.ReLU(),
        nn.BatchNorm2d(24),
        nn.Dropout(dropout),
        # Output: 7x7 to 1x1
        conv(24, 10, 1),
        conv(10, 10, 7),
        nn.Flatten(),
    )
