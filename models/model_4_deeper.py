"""Model 4 with one more convolution in each block, trained on rotated images."""

from torch import nn

from models.layers import conv


def model(dropout: float) -> nn.Sequential:
    """Return the deeper variant of Model 4: images [n, 1, 28, 28] to logits [n, 10]."""
    return nn.Sequential(
        # Block 1: 28x28 to 20x20
        conv(1, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Dropout(dropout),
        conv(8, 8, 3),
        nn.BatchNorm2d(8),
        nn.Dropout(dropout),
        conv(8, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        # Transition: 20x20 to 10x10
        nn.MaxPool2d(2),
        conv(16, 8, 1),
        # Block 2: 10x10 to 6x6
        conv(8, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Dropout(dropout),
        conv(8, 16, 3),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        conv(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.Dropout(dropout),
        # Output: 6x6 to 1x1
        nn.AvgPool2d(6),
        conv(16, 10, 1),
        nn.Flatten(),
    )
