from pathlib import Path

import torch

from study.data import mnist
from study.networks import inputs


def test_constants_are_mean_and_sd_of_the_training_images(mnist_folder: Path) -> None:
    pixels = mnist.read_training_set(mnist_folder)[0] / 255
    assert (round(pixels.mean(), 4), round(pixels.std(), 4)) == (inputs.MEAN, inputs.SD)


def test_normalize_maps_0_and_255_to_the_ends_of_the_scale() -> None:
    images = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    normalized = inputs.normalize(images)
    assert normalized.shape == (1, 1, 1, 2)
    expected = torch.tensor([-inputs.MEAN / inputs.SD, (1 - inputs.MEAN) / inputs.SD])
    torch.testing.assert_close(normalized.flatten(), expected)
