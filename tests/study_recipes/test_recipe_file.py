from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import models
from study.recipes import params_file, recipe_file
from tests.errors import message_of
from tests.recipes import recipe

NAME = "recipes/model_1.yaml"
TEXT = recipe_file.to_yaml(recipe(), recipe_file.versions())


def complaint(text: str) -> str:
    message = message_of(lambda: recipe_file.from_text(NAME, text))
    assert message.startswith(NAME)
    return message


def test_recipe_file_roundtrip() -> None:
    params = params_file.read(Path("params.yaml").read_text("utf-8"), models.names())
    for each in (*params.models.values(), recipe(learning_rate=1e-7, seed=2**32 - 1)):
        text = recipe_file.to_yaml(each, recipe_file.versions())
        assert recipe_file.from_text(NAME, text) == each


def test_recipe_file_is_the_same_for_0_and_0_0() -> None:
    """DVC would train again for another text."""
    values = {"weight_decay": 0.0, "dropout": "0.10", "epochs": 15.0, "rotation": "0"}
    assert recipe_file.to_yaml(recipe(**values), recipe_file.versions()) == TEXT


def test_recipe_file_names_the_versions_that_decide_the_bytes() -> None:
    written = yaml.safe_load(recipe_file.to_yaml(recipe(), {"torch": "2.10", "numba": "1"}))
    assert written["versions"] == {"torch": "2.10", "numba": "1"}
    installed = recipe_file.versions()
    assert set(installed) == {"torch", "numpy", "numba", "llvmlite"}
    # The build, such as +cpu, is no reason to train again.
    assert installed["torch"] == version("torch").split("+")[0]


@pytest.mark.fault(
    "installed versions other than those in a recipe", "one line; nothing is trained"
)
def test_recipe_file_of_other_versions_is_refused() -> None:
    other = recipe_file.versions() | {"torch": "1.0.0"}
    message = complaint(recipe_file.to_yaml(recipe(), other))
    assert "torch 1.0.0" in message
    assert f"torch {recipe_file.versions()['torch']}" in message
    assert "`dvc repro --force recipes`" in message


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (TEXT, "", ("empty",)),
        (TEXT, "[]", ("mapping",)),
        ("versions:", "version:", ("versions",)),
        ("dropout: 0.1", "dropout: 1.5", ("dropout", "[0, 0.99]", "1.5")),
    ],
)
def test_recipe_file_names_what_is_damaged(old: str, new: str, parts: tuple[str, ...]) -> None:
    assert old in TEXT
    message = complaint(TEXT.replace(old, new, 1))
    assert [part for part in parts if part not in message] == [], message


def test_versions_are_those_that_it_was_written_with() -> None:
    assert recipe_file.written_versions(NAME, TEXT) == recipe_file.versions()


@pytest.mark.parametrize("versions", ["", "versions: abc", "versions: [1]"])
def test_versions_that_are_not_readable_are_named(versions: str) -> None:
    text = f"{TEXT.partition('versions:')[0]}{versions}\n"
    message = message_of(lambda: recipe_file.written_versions(NAME, text))
    assert message.startswith(NAME)
    assert "versions" in message
