"""Model 6 with standard instead of separable convolutions, and therefore fewer channels."""

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return the standard variant of Model 6: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 22x22
        conv(1, 6, 3),
        nn.ReLU(),
        nn.BatchNorm2d(6),
        nn.Dropout(dropout),
        conv(6, 10, 3),
        nn.ReLU(),
        nn.BatchNorm2d(10),
        nn.Dropout(dropout),
        conv(10, 10, 3),
        nn.ReLU(),
        nn.BatchNorm2d(10),
        nn.Dropout(dropout),
        # Transition: 22x22 to 11x11
        nn.MaxPool2d(2),
        # Block 2: 11x11 to 5x5
        conv(10, 12, 3),
        nn.ReLU(),
        nn.BatchNorm2d(12),
        nn.Dropout(dropout),
        conv(12, 12, 3),
        nn.ReLU(),
        nn.BatchNorm2d(12),
        nn.Dropout(dropout),
        conv(12, 14, 3),
        nn.ReLU(),
        nn.BatchNorm2d(14),
        nn.Dropout(dropout),
        conv(14, 14, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(14),
        nn.Dropout(dropout),
        # Output: 5x5 to 1x1
        nn.AvgPool2d(5),
        conv(14, 10, 1),
        nn.Flatten(),
    )
