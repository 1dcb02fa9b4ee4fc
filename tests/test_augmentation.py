import numpy as np
import torch
from torchvision.transforms.functional import rotate as torchvision_rotate

from study import augmentation


def turned(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turn every image by the same angle."""
    angle = np.deg2rad(np.full(len(images), degrees))
    result = np.empty(images.shape, np.uint8)
    augmentation.turn(images.numpy(), np.cos(angle), np.sin(angle), result)
    return torch.from_numpy(result)


def noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)


def test_quarter_turns_are_exact() -> None:
    images = noise(3)
    assert torch.equal(turned(images, 0), images)
    assert torch.equal(turned(images, 90), torch.rot90(images, 1, (1, 2)))
    assert torch.equal(turned(images, 180), images.flip((1, 2)))


def test_small_angles_equal_torchvision_s() -> None:
    images = noise(4)
    for degrees in (-7.0, -3.3, 2.1, 6.9):
        expected = torchvision_rotate(images, degrees)
        differ = (turned(images, degrees) != expected).float().mean()
        assert differ < 0.002  # a neighbour at almost equal distance may be the other one


def test_each_image_has_an_angle_of_its_own() -> None:
    images = noise(1).expand(64, 28, 28).contiguous()
    result = augmentation.rotate(images, 7, np.random.default_rng(1))
    assert len({bytes(image.numpy()) for image in result}) > 30
    again = augmentation.rotate(images, 7, np.random.default_rng(1))
    assert torch.equal(result, again)
    assert not torch.equal(augmentation.rotate(images, 7, np.random.default_rng(2)), result)


def test_angles_cover_the_range_and_stay_inside() -> None:
    # One bright pixel 13 columns right of the centre moves by 13 * sin(angle) rows.
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, 13:15, 25:27] = 255
    rows = augmentation.rotate(images, 20, np.random.default_rng(1)).float().argmax(1).float()
    moved = rows.max(dim=1).values - 13.5
    assert 3.4 < moved.max() < 4.6
    assert -4.6 < moved.min() < -3.4
