"""Weights files, from training to evaluation. Flipped bytes: tests/faults/test_damage.py."""

from pathlib import Path

import pytest
import torch

from study.base.errors import UserError
from study.evaluation import trained_network
from study.training import sgd
from study.training.weights_file import digest, to_safetensors
from tests.recipes import recipe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The weights file of an untrained Model 1."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(to_safetensors(sgd.initialize("model_1", recipe())))
    return path


def test_load_restores_the_weights_in_channels_last_memory(path: Path) -> None:
    expected = sgd.initialize("model_1", recipe())
    loaded = trained_network.load("model_1", path)
    for one, other in zip(loaded.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


def test_digest_depends_on_name_type_shape_and_value() -> None:
    weights = [
        {"a": torch.zeros(4)},
        {"b": torch.zeros(4)},
        {"a": torch.zeros(4, dtype=torch.int32)},
        {"a": torch.zeros(2, 2)},
        {"a": torch.ones(4)},
    ]
    assert len({*map(digest, weights)}) == len(weights)


@pytest.mark.parametrize("content", [b"", b"0" * 1000, slice(-100)])
def test_load_rejects_a_damaged_file(path: Path, content: bytes | slice) -> None:
    path.write_bytes(path.read_bytes()[content] if isinstance(content, slice) else content)
    with pytest.raises(UserError, match=rf"{path}: .*`dvc repro --force train@model_1`"):
        trained_network.load("model_1", path)


def test_load_rejects_weights_of_another_model(path: Path) -> None:
    with pytest.raises(UserError, match=rf"{path}: .*model_2"):
        trained_network.load("model_2", path)


def test_load_names_a_missing_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent: .*`dvc repro --force train@model_1`"):
        trained_network.load("model_1", tmp_path / "absent")
