"""Augmentation on a CPU: random rotation, scaling, shifts and elastic distortion of images."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from study.engine.compilation import entry, kernel
from study.recipes.recipe import Recipe

STREAMS = ("rotation", "translation", "scaling", "elastic")
"""Names of the random streams: each kind of change draws from a generator of its own."""
CONTROL_POINTS = 7
"""Control points of the elastic distortion along each axis. The outermost are outside the image."""


def annealed_strength(recipe: Recipe, epoch: int) -> float:
    """Return the strength of augmentation in an epoch, counted from 0: in (0, 1].

    It is 1 until the last epochs, a fraction `augmentation_anneal` of all. Over these it decays
    linearly, and would reach 0 in the epoch after the last.
    """
    if not recipe.augmentation_anneal:
        return 1.0
    return min(1.0, (1 - epoch / recipe.epochs) / recipe.augmentation_anneal)


def augment(
    images: NDArray[np.uint8],
    recipe: Recipe,
    strength: float,
    generators: Mapping[str, np.random.Generator],
) -> NDArray[np.uint8]:
    """Return images uint8 [n, 28, 28], each changed by random amounts from the recipe's ranges.

    Each image is rotated and scaled about its center and shifted, as torchvision's RandomAffine
    does; then a grid of control points distorts it (Ronneberger et al. 2015, "U-Net", section 3.1).
    A pixel takes the value of its nearest neighbor, or the mean of four weighted by distance;
    outside the image is 0. `strength` in [0, 1] scales all ranges. `generators` has one for each
    name in STREAMS.
    """
    n, side = len(images), images.shape[1]

    def draw(stream: str, limit: float, *shape: int) -> NDArray[np.float64]:
        # Generator.uniform computes low + range * x, which some compilers round once, others twice.
        return strength * limit * (2 * generators[stream].random((n, *shape)) - 1)

    angles = draw("rotation", recipe.rotation) * (math.pi / 180)
    shifts = draw("translation", recipe.translation, 2)
    scales = 1 + draw("scaling", recipe.scaling)
    displacements = np.empty((0, 2, CONTROL_POINTS, CONTROL_POINTS))
    if recipe.elastic:
        displacements = draw("elastic", recipe.elastic, *displacements.shape[1:])
    augmented = np.empty(images.shape, np.uint8)
    warp(
        images,
        cosine(angles) / scales,
        sine(angles) / scales,
        shifts,
        displacements,
        bspline_basis(side),
        recipe.interpolation == "bilinear",
        augmented,
    )
    return augmented


def cosine(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines of angles within ±π, to 2e-15: libraries differ in the last bits."""
    return taylor(angles, 0)


def sine(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sines of angles within ±π, to 2e-15: libraries differ in the last bits."""
    return angles * taylor(angles, 1)


def taylor(angles: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Return the sum over i of (-x²)^i / (2i + first)!: cos x for 0, and sin x / x for 1."""
    total = np.zeros_like(angles)
    for i in range(15, -1, -1):
        total = total * -(angles * angles) + 1 / math.factorial(2 * i + first)
    return total


@cache
def bspline_basis(side: int) -> NDArray[np.float64]:
    """Return weights [side, CONTROL_POINTS]: the share of each control point in each pixel.

    They are uniform cubic B-splines, so that the distortion is smooth: de Boor 1978, "A Practical
    Guide to Splines".
    """
    positions = (np.arange(side) + 0.5) / side * (CONTROL_POINTS - 3)
    distances = np.abs(positions[:, None] + 1 - np.arange(CONTROL_POINTS))
    far = np.maximum(2 - distances, 0)
    near = 2 / 3 - distances * distances * (1 - distances / 2)
    return np.where(distances < 1, near, far * far * far / 6)


@entry
def warp(
    images: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    sines: NDArray[np.float64],
    shifts: NDArray[np.float64],
    displacements: NDArray[np.float64],
    basis: NDArray[np.float64],
    bilinear: bool,
    augmented: NDArray[np.uint8],
) -> None:
    """Fill `augmented` with the images [n, side, side], each changed by its own amounts.

    `cosines` and `sines` [n]: of each image's angle, divided by its scale. `shifts` [n, 2]: pixels
    to the right and down. `displacements` [n, 2, CONTROL_POINTS, CONTROL_POINTS]: of the control
    points, in pixels; n is 0 without elastic distortion. `basis`: from `bspline_basis`.
    """
    side = images.shape[1]
    center = (side - 1) / 2
    framed = np.zeros((side + 2, side + 2))
    offsets = np.zeros((2, side, side))
    for n in range(len(images)):
        if bilinear:
            framed[1:-1, 1:-1] = images[n]
        if len(displacements) > 0:
            interpolate(displacements[n], basis, offsets)
        for row in range(side):
            for column in range(side):
                x, y = column - center - shifts[n, 0], row - center - shifts[n, 1]
                from_column = cosines[n] * x - sines[n] * y + center + offsets[0, row, column]
                from_row = sines[n] * x + cosines[n] * y + center + offsets[1, row, column]
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
                augmented[n, row, column] = int(value)


@kernel
def interpolate(
    displacements: NDArray[np.float64], basis: NDArray[np.float64], offsets: NDArray[np.float64]
) -> None:
    """Set `offsets` [2, side, side] to each pixel's displacement, given the control points'."""
    side, points = basis.shape
    along_rows = np.zeros((points, side))
    for axis in range(2):
        along_rows[:] = 0
        for i in range(points):
            for j in range(points):
                for column in range(side):
                    along_rows[i, column] += displacements[axis, i, j] * basis[column, j]
        offsets[axis] = 0
        for row in range(side):
            for i in range(points):
                for column in range(side):
                    offsets[axis, row, column] += basis[row, i] * along_rows[i, column]
