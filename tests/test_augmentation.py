from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from study.training import augmentation
from tests.recipes import recipe

INTERPOLATIONS = ["nearest", "bilinear"]


def changed(
    images: torch.Tensor,
    interpolation: str,
    degrees: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    pulls: NDArray[np.float64] | None = None,
) -> torch.Tensor:
    """Change every image by the same amounts."""
    n = len(images)
    angles = np.deg2rad(np.full(n, degrees))
    result = np.empty(images.shape, np.uint8)
    augmentation.warp(
        images.numpy(),
        np.cos(angles) / scale,
        np.sin(angles) / scale,
        np.tile(shift, (n, 1)),
        np.empty((0, 2, 7, 7)) if pulls is None else np.stack([pulls] * n),
        augmentation.splines(28),
        interpolation == "bilinear",
        result,
    )
    return torch.from_numpy(result)


def generators(seed: int) -> Mapping[str, np.random.Generator]:
    return {purpose: np.random.default_rng(seed) for purpose in augmentation.PURPOSES}


def noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_quarter_turns_and_whole_pixels_are_exact(interpolation: str) -> None:
    images = noise(3)
    assert torch.equal(changed(images, interpolation), images)
    assert torch.equal(changed(images, interpolation, degrees=90), torch.rot90(images, 1, (1, 2)))
    assert torch.equal(changed(images, interpolation, degrees=180), images.flip((1, 2)))
    moved = changed(images, interpolation, shift=(2, -3))
    assert torch.equal(moved[:, :-3, 2:], images[:, 3:, :-2])
    assert not moved[:, -3:].any()
    assert not moved[:, :, :2].any()


AMOUNTS = [
    (-7.0, 1.0, (0.0, 0.0)),
    (3.3, 1.1, (0.0, 0.0)),
    (0.0, 0.93, (1.0, -2.0)),
    (6.9, 1.07, (-2.0, 1.0)),
]


@pytest.mark.parametrize(("degrees", "scale", "shift"), AMOUNTS)
def test_nearest_equals_torchvision_s(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    images = noise(4)
    expected = affine(images, -degrees, [int(s) for s in shift], scale, [0.0])
    differ = (changed(images, "nearest", degrees, scale, shift) != expected).float().mean()
    assert differ < 0.002  # a neighbour at almost equal distance may be the other one


@pytest.mark.parametrize(("degrees", "scale", "shift"), AMOUNTS)
def test_bilinear_equals_torchvision_s(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    images = noise(4)
    expected = affine(
        images.float(), -degrees, [int(s) for s in shift], scale, [0.0], InterpolationMode.BILINEAR
    )
    apart = (changed(images, "bilinear", degrees, scale, shift).float() - expected).abs()
    assert apart.max() < 0.501  # rounded to whole numbers


def test_half_a_pixel_is_the_mean_of_two() -> None:
    images = noise(1)
    moved = changed(images, "bilinear", shift=(0.5, 0)).float()
    mean = (images[:, :, :-1].float() + images[:, :, 1:].float()) / 2
    assert torch.equal(moved[:, :, 1:], (mean + 0.5).floor())


def test_each_image_changes_in_a_way_of_its_own() -> None:
    images = noise(1).expand(64, 28, 28).contiguous()
    for key, value in {"rotation": 7, "translation": 2, "scaling": 0.1, "elastic": 2}.items():
        ranges = recipe(interpolation="bilinear", **{key: value})
        result = augmentation.augment(images, ranges, 1, generators(1))
        assert len({bytes(image.numpy()) for image in result}) == 64
        assert torch.equal(augmentation.augment(images, ranges, 1, generators(1)), result)
        assert not torch.equal(augmentation.augment(images, ranges, 1, generators(2)), result)


def test_half_the_strength_is_half_the_range() -> None:
    images = noise(8)
    ranges = {"rotation": 8, "translation": 2, "scaling": 0.1, "elastic": 3}
    halves = recipe(**{key: value / 2 for key, value in ranges.items()})
    expected = augmentation.augment(images, halves, 1, generators(1))
    assert torch.equal(augmentation.augment(images, recipe(**ranges), 0.5, generators(1)), expected)
    assert torch.equal(augmentation.augment(images, recipe(**ranges), 0, generators(1)), images)


def test_angles_cover_the_range_and_stay_inside() -> None:
    # One bright pixel 13 columns right of the centre moves by 13 * sin(angle) rows.
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, 13:15, 25:27] = 255
    turned = augmentation.augment(images, recipe(rotation=20), 1, generators(1))
    moved = turned.float().argmax(1).float().max(dim=1).values - 13.5
    assert 3.4 < moved.max() < 4.6
    assert -4.6 < moved.min() < -3.4


def test_shifts_and_sizes_cover_the_range_and_stay_inside() -> None:
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, 8:20, 8:20] = 255
    moved = augmentation.augment(images, recipe(translation=3), 1, generators(1)).bool()
    for axis in (1, 2):
        starts = moved.any(dim=3 - axis).float().argmax(dim=1) - 8
        assert (int(starts.min()), int(starts.max())) == (-3, 3)
    scaled = augmentation.augment(images, recipe(scaling=0.25), 1, generators(1)).bool()
    sides = scaled[:, 14].sum(dim=1)
    assert 8 <= sides.min() <= 10
    assert 14 <= sides.max() <= 16


def test_splines_are_shares_without_kinks() -> None:
    """They add up to 1, and are scipy's."""
    splines = augmentation.splines(28)
    assert splines.sum(axis=1) == pytest.approx(np.ones(28))
    places = (np.arange(28) + 0.5) / 28 * 4
    for point in range(7):
        weights = np.eye(7)[point]
        expected = BSpline(np.arange(-3, 8), weights, 3)(places)
        assert splines[:, point] == pytest.approx(expected)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_points_that_all_pull_alike_move_the_image(interpolation: str) -> None:
    images = noise(3)
    pulls = np.stack([np.full((7, 7), -2.0), np.full((7, 7), 1.0)])
    expected = changed(images, interpolation, shift=(2, -1))
    assert torch.equal(changed(images, interpolation, pulls=pulls), expected)


def test_a_point_pulls_at_its_own_place_most() -> None:
    """Point (3, 3) lies between pixels 13 and 14; its pull to the right ends 14 pixels away."""
    ramp = torch.arange(28, dtype=torch.uint8).mul(8).expand(1, 28, 28).contiguous()
    pulls = np.zeros((2, 7, 7))
    pulls[0, 3, 3] = 3.0
    moved = (changed(ramp, "bilinear", pulls=pulls).float() - ramp.float())[0] / 8
    # (2/3)² of 3 pixels, but for half a pixel beside the point.
    assert float(moved.max()) == pytest.approx(3 * (2 / 3) ** 2, abs=0.1)
    assert {int(moved[13].argmax()), int(moved[:, 13].argmax())} <= {13, 14}
    assert not moved[0].any()
    assert torch.equal(moved, moved.flip(0))
