import pytest
from torch import nn

import models
from study.networks import building
from tests.errors import message_of


def logits(count: int) -> list[nn.Module]:
    return [nn.Conv2d(1, count, 28), nn.Flatten()]


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (nn.ModuleList(logits(10)), "nn.Sequential, got ModuleList"),
        (nn.Sequential(nn.Sequential(*logits(10))), "must be flat"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), *logits(10)), "layers do not fit: "),
        (nn.Sequential(*logits(10), nn.BatchNorm2d(10)), "layers do not fit: "),
        (nn.Sequential(*logits(8)), "got [1, 8]"),
        (nn.Sequential(nn.Conv2d(1, 10, 27), nn.Flatten()), "got [1, 40]"),
    ],
)
def test_build_says_what_is_wrong_with_a_model(
    network: nn.Module, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", lambda *_: network)
    message = message_of(lambda: building.build("model_7", 0.1))
    assert message.startswith("models/model_7.py: ")
    assert part in message


def test_build_says_that_a_file_has_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("models.model_2.model")
    assert message_of(lambda: building.build("model_2", 0.1)).startswith("models/model_2.py: must")


def test_build_returns_a_network_in_training_mode() -> None:
    assert all(layer.training for layer in building.build("model_2", 0.1).modules())
