import shutil
from pathlib import Path

import pytest

from study.evidence import write_up
from study.networks.receptive_field import Row
from tests.checkout import ROOT
from tests.errors import message_of
from tests.evidence.hand_made import PUBLISHED

REFERENCE = ROOT / "reference"
MODELS = PUBLISHED.models


def test_read_has_every_logged_epoch() -> None:
    counts = {name: len(model.epochs) for name, model in MODELS.items()}
    assert counts == {"model_1": 15, "model_2": 15, "model_3": 0, "model_4": 15, "model_5": 25}
    lines = (REFERENCE / "epochs.csv").read_text(encoding="utf-8").splitlines()
    assert sum(counts.values()) == len(lines) - 1
    # Field by field, in the file's order.
    for line, epoch in zip(lines[1:], (e for m in MODELS.values() for e in m.epochs), strict=True):
        model, *numbers = line.split(",")
        assert [model, *map(float, numbers)] == list(vars(epoch).values())


@pytest.mark.parametrize(
    ("name", "parameters", "accuracy", "loss", "best_accuracy"),
    [
        ("model_1", 14_620, 98.98, 0.0293, 98.98),
        ("model_2", 14_796, 99.29, 0.0226, 99.29),
        ("model_3", 3_928, None, None, 98.51),
        ("model_4", 7_416, 99.02, 0.0310, 99.09),
        ("model_5", 8_018, 99.29, 0.0262, 99.29),
    ],
)
def test_model_has_the_published_numbers(
    name: str, parameters: int, accuracy: float | None, loss: float | None, best_accuracy: float
) -> None:
    model = MODELS[name]
    assert (model.parameters, model.accuracy, model.loss) == (parameters, accuracy, loss)
    assert model.best_accuracy == best_accuracy


def test_reported_accuracy_is_of_the_best_epoch_if_no_other_is_published() -> None:
    reported = {
        name: (each.reported_accuracy, each.reports_best_epoch) for name, each in MODELS.items()
    }
    assert reported["model_3"] == (98.51, True)
    assert reported["model_4"] == (99.02, False)


def test_recipes_are_those_of_models_1_and_2() -> None:
    recipe = write_up.PublishedRecipe("SGD", 0.9, 0.01, 128, 64, 15, 0.1)
    assert [model.recipe for model in MODELS.values()] == [recipe, recipe, None, None, None]


def test_receptive_field_tables_are_those_of_models_1_and_2() -> None:
    first, second, *others = (model.receptive_field for model in MODELS.values())
    assert first == second
    assert others == [None, None, None]
    assert first is not None
    assert len(first) == 10
    assert first[4] == Row("MaxPool", 14, 22, 11, 1, 2, 3, 6)


def test_claims_are_distinct_and_three_compare_models() -> None:
    ids = [claim.id for claim in PUBLISHED.claims]
    assert len(ids) == len(set(ids)) == 13
    assert all(claim.quote for claim in PUBLISHED.claims)
    assert [claim.compares for claim in PUBLISHED.claims if claim.compares] == [
        ("model_1", "model_2"),
        ("model_2", "model_4"),
        ("model_4", "model_5"),
    ]
    assert PUBLISHED.target == write_up.Target(parameters=8_000, accuracy=99.4)


TEXT, LOG = "write_up.yaml", "epochs.csv"


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        # Given twice, and different.
        (TEXT, "parameters: 3928", "parameters: 3929", ("model_3", "parameters", "3929")),
        (TEXT, "loss: 0.0226", "loss: 0.0227", ("model_2", "loss", "0.0227", "0.0226")),
        (TEXT, "best_accuracy: 98.51", "best_accuracy: 98.52", ("98.52", "98.51")),
        (TEXT, "- model: model_5", "- model: model_6", ("model_6", "more-epochs-help")),
        (TEXT, "model_4, model_5]", "model_4, model_9]", ("model_9", "model-5-better")),
        (TEXT, "best_accuracy: null", "best_accuracy: 99", ("model_1", "stated_best_accuracy")),
        (TEXT, "test_images: 10000", "test_images: 9999", ("9568 of 9999", "95.68")),
        (LOG, "1,3,97.76", "1,4,97.76", ("model_1", "epoch 4", "epoch 3")),
        (LOG, "9568,95.68", "9569,95.68", ("model_1", "epoch 0", "9569 of 10000", "95.68")),
        (LOG, "model_5,24,", "model_6,0,", ("model_6", "epochs.csv")),
        # Not what its key allows.
        (TEXT, "test_images:", "test_image:", ("test_image",)),
        (TEXT, "momentum: 0.9", "momentum: high", ("models.model_1.recipe.momentum", "high")),
        (TEXT, "7x7      24", "7x7  24  24", ("models.model_1.receptive_field", "8 columns")),
        (TEXT, "variant:", "variants:", ("metrics.0.variants", "variant")),
        (TEXT, "models:", "models: [", ("write_up.yaml line", "YAML")),
        (LOG, "98.98", "98.9x", ("epochs.csv line 16", "test_accuracy", "98.9x")),
    ],
)
def test_read_names_the_mistake(
    tmp_path: Path, file: str, old: str, new: str, parts: tuple[str, ...]
) -> None:
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    message = message_of(lambda: write_up.read(tmp_path / TEXT, tmp_path / LOG))
    assert all(part in message for part in parts), message
