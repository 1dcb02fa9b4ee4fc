from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import models
from study.base.yaml_io import requirement
from study.recipes import params_file
from study.recipes.params_file import Comparison, Params
from study.recipes.recipe import Recipe
from tests.errors import message_of
from tests.recipes import VALUES, recipe

OWN = (Path(__file__).parents[2] / "params.yaml").read_text("utf-8")
"""The text of this repository's params.yaml."""
MODELS = ("model_1", "model_2")


def text(models: Mapping[str, Any] | None = None, **values: object) -> str:
    """Return a params.yaml with two models; `values` replace those under `train`."""
    listed = {"model_1": {}, "model_2": {"epochs": 25}} if models is None else models
    data = {
        "train": VALUES | values,
        "models": listed,
        "equivalence_margin": 0.1,
        "candidate": "model_1",
    }
    return yaml.safe_dump(data, sort_keys=False)


def read(content: str) -> Params:
    return params_file.read(content, MODELS)


def complaint(content: str) -> str:
    message = message_of(lambda: read(content))
    assert message.startswith("params.yaml")
    return message


def test_params_of_this_repository_are_valid() -> None:
    params = params_file.read(OWN, models.names())
    assert sorted(params.models) == models.names()


@pytest.mark.parametrize("kind", [Recipe, Comparison])
def test_params_comments_are_the_descriptions_and_rules_of_the_fields(
    kind: type[BaseModel],
) -> None:
    lines = [line.strip() for line in OWN.splitlines()]
    rules = kind.model_json_schema()["properties"]
    wrong = {}
    for key, field in kind.model_fields.items():
        # The first one is under `train`; a model may have a value of its own further down.
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{key}: "))
        expected = f"# {field.description} ({requirement(rules[key])})"
        if lines[number - 1] != expected:
            wrong[key] = expected
    assert wrong == {}


def test_params_read_returns_the_values_in_effect_and_their_places() -> None:
    params = read(text({"model_2": {"epochs": 25, "dropout": "1e-1"}, "model_1": None}))
    assert params == Params(
        {"model_2": recipe(epochs=25, dropout=0.1), "model_1": recipe()},
        {
            "model_2": {key: f"train.{key}" for key in VALUES}
            | {"epochs": "models.model_2.epochs", "dropout": "models.model_2.dropout"},
            "model_1": {key: f"train.{key}" for key in VALUES},
        },
        equivalence_margin=0.1,
    )
    assert list(params.models) == ["model_2", "model_1"]


@pytest.mark.fault(
    "a mistake in params.yaml: a value out of range, a key unknown or missing or twice, a list, not"
    " YAML, conflict markers, an alias without end",
    "one line with the key or the line, what is allowed, and the value",
)
@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("dropout: 0.1", "dropout: 1.5", ("train.dropout", "[0, 0.99]", "1.5")),
        ("dropout: 0.1", "dropout:", ("train.dropout", "[0, 0.99]")),
        ("dropout: 0.1", "dropout: {a: 1}", ("train.dropout", "[0, 0.99]", "{'a': 1}")),
        ("dropout: 0.1", "droput: 0.1", ("train.droput", "dropout")),
        ("seed: 1", "", ("train.seed", "missing")),
        ("seed: 1", "seed: 1\n  seed: 2", ("line 3", "duplicate", "seed")),
        ("seed: 1", "seed: &a {b: *a}", ("train.seed", "[0, 4294967295]")),
        ("seed: 1", "seed: 2024-13-45", ("YAML",)),
        ("seed: 1", "seed: 2024-12-13", ("train.seed", "2024-12-13")),
        ("seed: 1", "? [seed]\n  : 1", ("YAML",)),
        ("seed: 1", "<<<<<<< HEAD", ("line ", "YAML")),
        ("train:", "train", ("line ", "YAML")),
        ("train:", "trian:", ("train", "missing")),
        ("epochs: 25", "epochs: 0", ("models.model_2.epochs", "[1, 1000]", "0")),
        ("epochs: 25", "epoch: 1", ("models.model_2.epoch", "epochs")),
        ("epochs: 25", "validation_images: 1", ("models.model_2.validation_images", "`train`")),
        ("epochs: 25", "batch_size: 60000\n    train_images: 5", ("models.model_2.batch_size",)),
        ("model_2:", "model_2: 3 #", ("line ", "YAML")),
        ("model_1: {}", "model_1: 3", ("models.model_1", "3")),
        ("model_1: {}", "model_1: [epochs]", ("models.model_1", "epochs")),
        ("model_1: {}", "model_1: {}\n  model_9: {}", ("models.model_9", "models/model_9.py")),
        ("model_1: {}", "", ("models/model_1.py", "`model_1: {}`")),
        ("candidate: model_1", "candidate: model_9", ("candidate", "model_1, model_2", "model_9")),
        ("candidate: model_1", "candidate: [model_1]", ("candidate", "['model_1']")),
        ("candidate: model_1", "candidate:", ("candidate", "model_1, model_2")),
        ("candidate: model_1", "candidat: model_1", ("candidat", "candidate")),
        ("equivalence_margin: 0.1", "equivalence_margin: 0", ("equivalence_margin", "(0, 100]")),
        ("equivalence_margin: 0.1", "", ("equivalence_margin", "missing")),
    ],
)
def test_params_read_names_a_mistake(old: str, new: str, parts: tuple[str, ...]) -> None:
    content = text()
    assert old in content
    message = complaint(content.replace(old, new, 1))
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize(
    ("models", "parts"),
    [({}, ("models",)), (None, ("models",)), ([1], ("models", "[1]")), ("model_1", ("models",))],
)
def test_params_read_needs_a_mapping_of_models(models: object, parts: tuple[str, ...]) -> None:
    data = yaml.safe_load(text()) | {"models": models}
    message = complaint(yaml.safe_dump(data))
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "`git restore params.yaml`"),
        (3000 * "[", "`git restore params.yaml`"),
        ("just words", "mapping"),
        ("[1, 2]", "mapping"),
        ("3", "mapping"),
    ],
)
def test_params_read_rejects_a_file_without_keys(content: str, part: str) -> None:
    assert part in complaint(content)
