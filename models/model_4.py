"""Model 4: Model 3 with 16 channels instead of 8 in one convolution of each block."""

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return Model 4: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        conv(1, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Dropout(dropout),
        conv(8, 16, 3),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        conv(16, 8, 1),
        # Block 2: 11x11 to 7x7
        conv(8, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        # Output: 7x7 to 1x1
        conv(16, 10, 1),
        nn.AvgPool2d(7),
        nn.Flatten(),
    )
