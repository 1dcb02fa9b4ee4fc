import shutil
from pathlib import Path

import pytest

from study.base.errors import UserError
from study.evidence import write_up
from study.networks.receptive_field import Row

REFERENCE = Path(__file__).parents[1] / "reference"
PUBLISHED = write_up.read(REFERENCE / "write_up.yaml", REFERENCE / "epochs.csv")
MODELS = PUBLISHED.models


def test_every_logged_epoch_is_read() -> None:
    counts = {name: len(model.epochs) for name, model in MODELS.items()}
    assert counts == {"model_1": 15, "model_2": 15, "model_3": 0, "model_4": 15, "model_5": 25}
    lines = (REFERENCE / "epochs.csv").read_text(encoding="utf-8").splitlines()
    assert sum(counts.values()) == len(lines) - 1
    # Field by field, in the file's order.
    for line, epoch in zip(lines[1:], (e for m in MODELS.values() for e in m.epochs), strict=True):
        assert [float(cell) for cell in line.split(",")] == list(vars(epoch).values())


def test_parameters() -> None:
    assert {name: model.parameters for name, model in MODELS.items()} == {
        "model_1": 14_620,
        "model_2": 14_796,
        "model_3": 3_928,
        "model_4": 7_416,
        "model_5": 8_018,
    }


@pytest.mark.parametrize(
    ("name", "accuracy", "loss", "best_accuracy"),
    [
        ("model_1", 98.98, 0.0293, 98.98),
        ("model_2", 99.29, 0.0226, 99.29),
        ("model_3", None, None, 98.51),
        ("model_4", 99.02, 0.0310, 99.09),
        ("model_5", 99.29, 0.0262, 99.29),
    ],
)
def test_final_and_best_figures(
    name: str, accuracy: float | None, loss: float | None, best_accuracy: float
) -> None:
    model = MODELS[name]
    assert (model.accuracy, model.loss) == (accuracy, loss)
    assert model.best_accuracy == best_accuracy


def test_recipes_stand_where_the_documents_state_them() -> None:
    recipe = write_up.Recipe("SGD", 0.9, 0.01, 128, 64, 15, 0.1)
    assert [model.recipe for model in MODELS.values()] == [recipe, recipe, None, None, None]


def test_receptive_field_tables_are_those_of_models_1_and_2() -> None:
    first, second, *others = (model.receptive_field for model in MODELS.values())
    assert first == second
    assert others == [None, None, None]
    assert first is not None
    assert len(first) == 10
    assert first[4] == Row("MaxPool", 14, 22, 11, 1, 2, 3, 6)


def test_conclusions() -> None:
    ids = [conclusion.id for conclusion in PUBLISHED.conclusions]
    assert len(ids) == len(set(ids)) == 13
    assert all(conclusion.words for conclusion in PUBLISHED.conclusions)
    assert [c.compares for c in PUBLISHED.conclusions if c.compares] == [
        ("model_1", "model_2"),
        ("model_2", "model_4"),
        ("model_4", "model_5"),
    ]
    assert PUBLISHED.target == write_up.Target(parameters=8_000, accuracy=99.4)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("write_up.yaml", "parameters: 3928", "parameters: 3929", "model_3: parameters is 3929"),
        ("write_up.yaml", "loss: 0.0226", "loss: 0.0227", "loss of model_2 is 0.0227, not 0.0226"),
        ("write_up.yaml", "best_accuracy: 98.51", "best_accuracy: 98.52", "98.51, not 98.52"),
        ("write_up.yaml", "- model: model_5", "- model: model_6", "model_6 is not among"),
        ("write_up.yaml", "model_4, model_5]", "model_4, model_9]", "compares model_9, which is"),
        ("write_up.yaml", "best_accuracy: null", "best_accuracy: 99", "model_1: stated_best_acc"),
        ("write_up.yaml", "test_images: 10000", "test_images: 9999", "9568 of 9999 is not 95.68"),
        ("write_up.yaml", "test_images", "test_image", "documents.yaml: test_images: "),
        ("write_up.yaml", "momentum: 0.9", "momentum: high", "models.model_1.recipe.momentum"),
        ("write_up.yaml", "7x7      24", "7x7  24  24", "models.model_1.receptive_field"),
        ("write_up.yaml", "models:", "models: [", r"documents.yaml line \d+: not YAML"),
        ("write_up.yaml", "variant:", "variants:", "figures.0.variants: Unexpected"),
        ("epochs.csv", "1,3,97.76", "1,4,97.76", "model_1: epochs.csv has epoch 4 where 3 is due"),
        ("epochs.csv", "9568,95.68", "9569,95.68", "model_1, epoch 0: 9569 of 10000 is not 95.68"),
        (
            "epochs.csv",
            "98.98",
            "98.9x",
            "epochs.csv: 14.test_accuracy: .*found 98.9x; mend it or `git",
        ),
        ("epochs.csv", "5,24,", "6,0,", "epochs.csv logs model_6, which is not among"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=message) as error:
        write_up.read(tmp_path / "write_up.yaml", tmp_path / "epochs.csv")
    assert "\n" not in str(error.value)
