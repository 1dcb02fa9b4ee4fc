import re
from pathlib import Path

import pytest

import models
from study.base.errors import UserError
from study.recipes import params_file

ROOT = Path(__file__).parent.parent
PARAMETERS = (ROOT / "params.yaml").read_text("utf-8")
PIPELINE = (ROOT / "dvc.yaml").read_text("utf-8")


def check(text: str) -> None:
    params_file.check(text, PIPELINE, models.names())


def test_the_repository_s_own_are_valid() -> None:
    check(PARAMETERS)


@pytest.mark.fault(
    "a mistake in the text of params.yaml: conflict markers, a key twice, an alias without end",
    "one line with the key or the line",
)
@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ("dropout: 0.1", "dropout: 1.5", "params.yaml: train.dropout = 1.5: give a number"),
        ("dropout: 0.1", "dropout:", "train.dropout = '': give a number"),
        ("dropout: 0.1", "dropout: {a: 1}", "train.dropout.a = 1: no stage reads it; known: "),
        ("dropout: 0.1", "droput: 0.1", "train.droput = 0.1: no stage reads it; known: "),
        ("seed: 1", "", "train.seed is missing; dvc.yaml reads it: give it a val"),
        ("epochs: 25", "epochs: 0", "models.model_5.epochs = 0: give a whole number"),
        ("rotation: 7", "dropout: 0.2", "models.model_4_deeper.dropout = 0.2: no stage reads"),
        ("model_1", "model_9", "candidate = model_9: give one of model_1, model_2"),
        (
            "train_images: 60000",
            "train_images: 100",
            "train.batch_size = 128: give at most train_images = 100",
        ),
        ("train:", "train", "params.yaml line [0-9]+: not YAML"),
        ("seed: 1", "seed: 1\n  seed: 2", r"params.yaml line \d+: train.seed: stands here twice"),
        ("seed: 1", "seed: 2024-13-45", "train.seed = 2024-13-45: give a whole number"),
        ("seed: 1", "? [seed]\n  : 1", r"train\.\? = 1: no stage reads it"),
        ("seed: 1", "seed: &a {b: *a}", "train.seed.b.b.b.b.b"),
        ("seed: 1", "<<<<<<< HEAD", "params.yaml line [0-9]+: not YAML"),
    ],
)
def test_a_mistake_is_named(line: str, instead: str, message: str) -> None:
    assert line in PARAMETERS
    with pytest.raises(UserError, match=message) as caught:
        check(PARAMETERS.replace(line, instead, 1))
    assert "\n" not in str(caught.value)


def test_a_holdout_of_one_model() -> None:
    """Its evaluation would know nothing of it, whatever dvc.yaml reads."""
    pipeline = f"{PIPELINE}\n# ${{models.model_5.validation_images}}\n"
    text = PARAMETERS.replace("epochs: 25", "epochs: 25\n    validation_images: 100", 1)
    with pytest.raises(
        UserError, match=r"models\.model_5\.validation_images: all models are evaluated on"
    ):
        params_file.check(text, pipeline, models.names())


def test_what_goes_too_deep() -> None:
    with pytest.raises(UserError, match=re.escape("params.yaml: not YAML")):
        check(3000 * "[")


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]", "3"])
def test_no_keys_at_all(text: str) -> None:
    with pytest.raises(UserError, match=re.escape("params.yaml: holds no keys")):
        check(text)
