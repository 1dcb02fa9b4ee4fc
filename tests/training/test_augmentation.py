from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from study.recipes.recipe import Recipe
from study.training import augmentation
from tests.recipes import recipe

INTERPOLATIONS = ["nearest", "bilinear"]


def warped(
    images: torch.Tensor,
    interpolation: str,
    degrees: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    displacements: NDArray[np.float64] | None = None,
) -> torch.Tensor:
    """Warp every image by the same amounts."""
    n = len(images)
    angles = np.deg2rad(np.full(n, degrees))
    result = np.empty(images.shape, np.uint8)
    augmentation.warp(
        images.numpy(),
        np.cos(angles) / scale,
        np.sin(angles) / scale,
        np.tile(shift, (n, 1)),
        np.empty((0, 2, 7, 7)) if displacements is None else np.stack([displacements] * n),
        augmentation.bspline_basis(28),
        interpolation == "bilinear",
        result,
    )
    return torch.from_numpy(result)


def augmented(
    images: torch.Tensor,
    recipe: Recipe,
    strength: float,
    generators: Mapping[str, np.random.Generator],
) -> torch.Tensor:
    return torch.from_numpy(augmentation.augment(images.numpy(), recipe, strength, generators))


def generators(seed: int) -> Mapping[str, np.random.Generator]:
    return {stream: np.random.default_rng(seed) for stream in augmentation.STREAMS}


@pytest.mark.parametrize(
    ("anneal", "strengths"),
    [(0, [1, 1, 1, 1]), (0.5, [1, 1, 1, 0.5]), (1, [1, 0.75, 0.5, 0.25])],
)
def test_annealed_strength_decays_over_the_last_epochs(
    anneal: float, strengths: list[float]
) -> None:
    annealed = recipe(epochs=4, rotation=7, augmentation_anneal=anneal)
    assert [augmentation.annealed_strength(annealed, epoch) for epoch in range(4)] == strengths


@pytest.mark.parametrize("key", augmentation.STREAMS)
def test_augments_if_any_range_is_not_0(key: str) -> None:
    assert recipe(**{key: 0.5}).augments
    assert not recipe().augments


def noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)


def test_sine_and_cosine_equal_numpys() -> None:
    angles = np.linspace(-np.pi, np.pi, 1001)
    assert np.abs(augmentation.sine(angles) - np.sin(angles)).max() < 2e-15
    assert np.abs(augmentation.cosine(angles) - np.cos(angles)).max() < 2e-15


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_warp_by_quarter_turns_and_whole_pixels_is_exact(interpolation: str) -> None:
    images = noise(3)
    assert torch.equal(warped(images, interpolation), images)
    assert torch.equal(warped(images, interpolation, degrees=90), torch.rot90(images, 1, (1, 2)))
    assert torch.equal(warped(images, interpolation, degrees=180), images.flip((1, 2)))
    moved = warped(images, interpolation, shift=(2, -3))
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
def test_nearest_neighbor_equals_torchvision(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    images = noise(4)
    expected = affine(images, -degrees, [int(s) for s in shift], scale, [0.0])
    differ = (warped(images, "nearest", degrees, scale, shift) != expected).float().mean()
    assert differ < 0.002  # of two neighbors at almost equal distance, either may be taken


@pytest.mark.parametrize(("degrees", "scale", "shift"), AMOUNTS)
def test_bilinear_equals_torchvision(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    images = noise(4)
    expected = affine(
        images.float(), -degrees, [int(s) for s in shift], scale, [0.0], InterpolationMode.BILINEAR
    )
    apart = (warped(images, "bilinear", degrees, scale, shift).float() - expected).abs()
    assert apart.max() < 0.501  # our pixels are rounded to integers


def test_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    images = noise(1)
    moved = warped(images, "bilinear", shift=(0.5, 0)).float()
    mean = (images[:, :, :-1].float() + images[:, :, 1:].float()) / 2
    assert torch.equal(moved[:, :, 1:], (mean + 0.5).floor())


def test_augment_draws_for_each_image_from_its_generators() -> None:
    images = noise(1).expand(64, 28, 28).contiguous()
    for key, value in {"rotation": 7, "translation": 2, "scaling": 0.1, "elastic": 2}.items():
        ranges = recipe(interpolation="bilinear", **{key: value})
        result = augmented(images, ranges, 1, generators(1))
        assert len({bytes(image.numpy()) for image in result}) == 64
        assert torch.equal(augmented(images, ranges, 1, generators(1)), result)
        assert not torch.equal(augmented(images, ranges, 1, generators(2)), result)


def test_strength_scales_all_ranges() -> None:
    images = noise(8)
    ranges = {"rotation": 8, "translation": 2, "scaling": 0.1, "elastic": 3}
    halves = recipe(**{key: value / 2 for key, value in ranges.items()})
    expected = augmented(images, halves, 1, generators(1))
    assert torch.equal(augmented(images, recipe(**ranges), 0.5, generators(1)), expected)
    assert torch.equal(augmented(images, recipe(**ranges), 0, generators(1)), images)


def test_angles_cover_exactly_the_range() -> None:
    # One bright pixel 13 columns right of the center moves by 13 * sin(angle) rows.
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, 13:15, 25:27] = 255
    turned = augmented(images, recipe(rotation=20), 1, generators(1))
    moved = turned.float().argmax(1).float().max(dim=1).values - 13.5
    assert 3.4 < moved.max() < 4.6
    assert -4.6 < moved.min() < -3.4


def test_shifts_and_scales_cover_exactly_the_range() -> None:
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, 8:20, 8:20] = 255
    moved = augmented(images, recipe(translation=3), 1, generators(1)).bool()
    for axis in (1, 2):
        starts = moved.any(dim=3 - axis).float().argmax(dim=1) - 8
        assert (int(starts.min()), int(starts.max())) == (-3, 3)
    scaled = augmented(images, recipe(scaling=0.25), 1, generators(1)).bool()
    sides = scaled[:, 14].sum(dim=1)
    assert 8 <= sides.min() <= 10
    assert 14 <= sides.max() <= 16


def test_bspline_basis_equals_scipy_and_sums_to_1() -> None:
    basis = augmentation.bspline_basis(28)
    assert basis.sum(axis=1) == pytest.approx(np.ones(28))
    positions = (np.arange(28) + 0.5) / 28 * 4
    for point in range(7):
        weights = np.eye(7)[point]
        expected = BSpline(np.arange(-3, 8), weights, 3)(positions)
        assert basis[:, point] == pytest.approx(expected)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_uniform_displacement_equals_a_shift(interpolation: str) -> None:
    images = noise(3)
    displacements = np.stack([np.full((7, 7), -2.0), np.full((7, 7), 1.0)])
    expected = warped(images, interpolation, shift=(2, -1))
    assert torch.equal(warped(images, interpolation, displacements=displacements), expected)


def test_displacement_of_a_point_is_largest_at_the_point() -> None:
    """Point (3, 3) is between pixels 13 and 14, and has no effect from 14 pixels on."""
    ramp = torch.arange(28, dtype=torch.uint8).mul(8).expand(1, 28, 28).contiguous()
    displacements = np.zeros((2, 7, 7))
    displacements[0, 3, 3] = 3.0
    moved = (warped(ramp, "bilinear", displacements=displacements).float() - ramp.float())[0] / 8
    # (2/3)² of 3 pixels, but half a pixel from the point.
    assert float(moved.max()) == pytest.approx(3 * (2 / 3) ** 2, abs=0.1)
    assert {int(moved[13].argmax()), int(moved[:, 13].argmax())} <= {13, 14}
    assert not moved[0].any()
    assert torch.equal(moved, moved.flip(0))
