"""Changes to training images that leave their digit what it is."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.compilation import compiled
from study.recipe import Recipe

PURPOSES = ("rotation", "translation", "scaling")
"""What random numbers are drawn for, each from a generator of its own."""


def augment(
    images: Tensor, recipe: Recipe, generators: Mapping[str, np.random.Generator]
) -> Tensor:
    """Turn, scale and move each image uint8 [n, 28, 28] by amounts drawn from the recipe's ranges.

    Turned and scaled about its centre, then moved, as torchvision's RandomAffine does. A pixel
    takes its nearest neighbour's value, or the mean of four weighted by distance; what lies outside
    is 0. `generators` are by PURPOSES.
    """
    n = len(images)

    def draw(purpose: str, limit: float, *shape: int) -> NDArray[np.float64]:
        return generators[purpose].uniform(-limit, limit, (n, *shape))

    angles = np.deg2rad(draw("rotation", recipe.rotation))
    shifts = draw("translation", recipe.translation, 2)
    scales = 1 + draw("scaling", recipe.scaling)
    changed = np.empty(images.shape, np.uint8)
    fill = fill_bilinear if recipe.interpolation == "bilinear" else fill_nearest
    fill(images.numpy(), np.cos(angles) / scales, np.sin(angles) / scales, shifts, changed)
    return torch.from_numpy(changed)


@compiled
def fill_nearest(
    images: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    shifts: NDArray[np.float64],
    changed: NDArray[np.uint8],
) -> None:
    """Fill `changed` with the images [n, side, side], each changed by its own amounts.

    `cosines` and `sines` are those of its angle, divided by its scale; `shifts` [n, 2] are in
    pixels to the right and down.
    """
    side = images.shape[1]
    centre = (side - 1) / 2
    for n in range(len(images)):
        for row in range(side):
            for column in range(side):
                x, y = column - centre - shifts[n, 0], row - centre - shifts[n, 1]
                from_column = int(np.floor(cosines[n] * x - sines[n] * y + centre + 0.5))
                from_row = int(np.floor(sines[n] * x + cosines[n] * y + centre + 0.5))
                inside = 0 <= from_row < side and 0 <= from_column < side
                changed[n, row, column] = images[n, from_row, from_column] if inside else 0


@compiled
def fill_bilinear(
    images: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    shifts: NDArray[np.float64],
    changed: NDArray[np.uint8],
) -> None:
    """As `fill_nearest`, with a mean of the four pixels around each place."""
    side = images.shape[1]
    centre = (side - 1) / 2
    framed = np.zeros((side + 2, side + 2))
    for n in range(len(images)):
        framed[1:-1, 1:-1] = images[n]
        for row in range(side):
            for column in range(side):
                x, y = column - centre - shifts[n, 0], row - centre - shifts[n, 1]
                # In the frame, everything lies one pixel further on.
                from_column = cosines[n] * x - sines[n] * y + centre + 1
                from_row = sines[n] * x + cosines[n] * y + centre + 1
                value = 0.5  # what follows is cut to a whole number
                if 0 <= from_row < side + 1 and 0 <= from_column < side + 1:
                    i, j = int(from_row), int(from_column)
                    down, right = from_row - i, from_column - j
                    upper = framed[i, j] + right * (framed[i, j + 1] - framed[i, j])
                    lower = framed[i + 1, j] + right * (framed[i + 1, j + 1] - framed[i + 1, j])
                    value += upper + down * (lower - upper)
                changed[n, row, column] = int(value)
