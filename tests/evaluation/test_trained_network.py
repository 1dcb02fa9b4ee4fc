"""Weights files, from training to evaluation. Flipped bytes: tests/faults/test_damage.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from study.base.errors import UserError
from study.evaluation import trained_network
from study.training.trainer import initialize
from study.training.weights_file import digest
from tests.recipes import recipe, untrained


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The weights file of an untrained Model 1."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(untrained("model_1"))
    return path


def test_load_restores_the_weights(path: Path) -> None:
    expected = initialize("model_1", recipe()).state_dict()
    loaded = trained_network.load("model_1", path).state_dict()
    assert list(loaded) == list(expected)
    for name, value in expected.items():
        assert np.array_equal(loaded[name], value)


def test_digest_depends_on_name_type_shape_and_value() -> None:
    weights: list[dict[str, NDArray[Any]]] = [
        {"a": np.zeros(4)},
        {"b": np.zeros(4)},
        {"a": np.zeros(4, np.int64)},
        {"a": np.zeros((2, 2))},
        {"a": np.ones(4)},
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
