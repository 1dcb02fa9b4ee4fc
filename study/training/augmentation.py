"""Changes to training images that leave their digit what it is."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.recipes.recipe import Recipe
from study.training.jit import compiled

PURPOSES = ("rotation", "translation", "scaling", "elastic")
"""What random numbers are drawn for, each from a generator of its own."""
CONTROL_POINTS = 7
"""Along each side of a grid that reaches beyond the image by one point at each end."""


def augment(
    images: Tensor, recipe: Recipe, strength: float, generators: Mapping[str, np.random.Generator]
) -> Tensor:
    """Change each image uint8 [n, 28, 28] by amounts drawn from the recipe's ranges.

    `strength`, from 0 to 1, makes all of them smaller.

    It is turned and scaled about its centre and moved, as torchvision's RandomAffine does, and then
    pulled about by a grid of control points: Ronneberger et al. 2015, "U-Net", section 3.1. A pixel
    takes its nearest neighbour's value, or the mean of four weighted by distance; what lies outside
    is 0. `generators` are by PURPOSES.
    """
    n, side = len(images), images.shape[1]

    def draw(purpose: str, limit: float, *shape: int) -> NDArray[np.float64]:
        return strength * generators[purpose].uniform(-limit, limit, (n, *shape))

    angles = np.deg2rad(draw("rotation", recipe.rotation))
    shifts = draw("translation", recipe.translation, 2)
    scales = 1 + draw("scaling", recipe.scaling)
    pulls = np.empty((0, 2, CONTROL_POINTS, CONTROL_POINTS))
    if recipe.elastic:
        pulls = draw("elastic", recipe.elastic, *pulls.shape[1:])
    changed = np.empty(images.shape, np.uint8)
    warp(
        images.numpy(),
        np.cos(angles) / scales,
        np.sin(angles) / scales,
        shifts,
        pulls,
        splines(side),
        recipe.interpolation == "bilinear",
        changed,
    )
    return torch.from_numpy(changed)


@cache
def splines(side: int) -> NDArray[np.float64]:
    """Return [side, CONTROL_POINTS]: how much of each control point's pull a pixel follows.

    Uniform cubic B-splines, so that the pull has no kinks: de Boor 1978, "A Practical Guide to
    Splines".
    """
    places = (np.arange(side) + 0.5) / side * (CONTROL_POINTS - 3)
    distances = np.abs(places[:, None] + 1 - np.arange(CONTROL_POINTS))
    near = 2 / 3 - distances**2 + distances**3 / 2
    return np.where(distances < 1, near, np.maximum(2 - distances, 0) ** 3 / 6)


@compiled
def warp(
    images: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    shifts: NDArray[np.float64],
    pulls: NDArray[np.float64],
    splines: NDArray[np.float64],
    bilinear: bool,
    changed: NDArray[np.uint8],
) -> None:
    """Fill `changed` with the images [n, side, side], each changed by its own amounts.

    `cosines` and `sines` [n] are those of its angle, divided by its scale; `shifts` [n, 2] are in
    pixels to the right and down. `pulls` [n, 2, CONTROL_POINTS, CONTROL_POINTS] are in pixels, too;
    there may be none.
    """
    side = images.shape[1]
    centre = (side - 1) / 2
    framed = np.zeros((side + 2, side + 2))
    pulled = np.zeros((2, side, side))
    for n in range(len(images)):
        if bilinear:
            framed[1:-1, 1:-1] = images[n]
        if len(pulls) > 0:
            spread(pulls[n], splines, pulled)
        for row in range(side):
            for column in range(side):
                x, y = column - centre - shifts[n, 0], row - centre - shifts[n, 1]
                from_column = cosines[n] * x - sines[n] * y + centre + pulled[0, row, column]
                from_row = sines[n] * x + cosines[n] * y + centre + pulled[1, row, column]
                value = 0.0
                if bilinear:
                    if -1 <= from_row < side and -1 <= from_column < side:
                        i, j = int(from_row + 1), int(from_column + 1)
                        down, right = from_row + 1 - i, from_column + 1 - j
                        upper = framed[i, j] + right * (framed[i, j + 1] - framed[i, j])
                        lower = framed[i + 1, j] + right * (framed[i + 1, j + 1] - framed[i + 1, j])
                        value = upper + down * (lower - upper) + 0.5
                else:
                    i, j = int(np.floor(from_row + 0.5)), int(np.floor(from_column + 0.5))
                    if 0 <= i < side and 0 <= j < side:
                        value = float(images[n, i, j])
                changed[n, row, column] = int(value)


@compiled
def spread(
    pulls: NDArray[np.float64], splines: NDArray[np.float64], pulled: NDArray[np.float64]
) -> None:
    """Set `pulled` [2, side, side] to what the control points' pulls come to at each pixel."""
    side, points = splines.shape
    along = np.zeros((points, side))
    for axis in range(2):
        along[:] = 0
        for i in range(points):
            for j in range(points):
                for column in range(side):
                    along[i, column] += pulls[axis, i, j] * splines[column, j]
        pulled[axis] = 0
        for row in range(side):
            for i in range(points):
                for column in range(side):
                    pulled[axis, row, column] += splines[row, i] * along[i, column]
