"""Changes to training images that leave their digit what it is."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.compilation import compiled


def rotate(images: Tensor, degrees: float, generator: np.random.Generator) -> Tensor:
    """Turn each image uint8 [n, 28, 28] about its centre by an angle drawn from ± `degrees`.

    Each pixel takes its nearest neighbour's value, and 0 where that lies outside, as torchvision's
    RandomRotation does unless told otherwise.
    """
    angles = np.deg2rad(generator.uniform(-degrees, degrees, len(images)))
    turned = np.empty(images.shape, np.uint8)
    turn(images.numpy(), np.cos(angles), np.sin(angles), turned)
    return torch.from_numpy(turned)


@compiled
def turn(
    images: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    turned: NDArray[np.uint8],
) -> None:
    """Fill `turned` with the images [n, side, side], each turned by its angle."""
    side = images.shape[1]
    centre = (side - 1) / 2
    for n in range(len(images)):
        for row in range(side):
            for column in range(side):
                x, y = column - centre, row - centre
                from_column = int(np.floor(cosines[n] * x - sines[n] * y + centre + 0.5))
                from_row = int(np.floor(sines[n] * x + cosines[n] * y + centre + 0.5))
                inside = 0 <= from_row < side and 0 <= from_column < side
                turned[n, row, column] = images[n, from_row, from_column] if inside else 0
