from pathlib import Path

import pytest
import torch
from torch import nn

import models
from study.base.errors import UserError
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


def logits(count: int) -> list[nn.Module]:
    return [nn.Conv2d(1, count, 28), nn.Flatten()]


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (nn.ModuleList(logits(10)), "nn.Sequential, got ModuleList"),
        (nn.Sequential(nn.Sequential(*logits(10))), "must be flat"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), *logits(10)), "layers do not fit: "),
        (nn.Sequential(*logits(8)), "got [1, 8]"),
        (nn.Sequential(nn.Conv2d(1, 10, 27), nn.Flatten()), "got [1, 40]"),
    ],
)
def test_build_says_what_is_wrong_with_a_model(
    network: nn.Module, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", lambda *_: network)
    with pytest.raises(UserError) as raised:
        inputs.build("model_7", 0.1)
    message = str(raised.value)
    assert message.startswith("models/model_7.py: ")
    assert part in message
    assert message.isprintable()


def test_build_returns_a_network_in_training_mode() -> None:
    assert all(layer.training for layer in inputs.build("model_2", 0.1).modules())
