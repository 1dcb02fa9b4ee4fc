import re
from collections import Counter

import pytest

import models
from experiments import project_files
from study.base.errors import UserError
from study.evidence import configurations
from study.recipes import params_file
from tests.checkout import ROOT

PARAMS = params_file.read((ROOT / "params.yaml").read_text("utf-8"), models.names())
TEXT = """\
# Two configurations.
seeds: [1, 7]

configurations:
  - id: as-it-is
    model: model_4
    description: Model 4 as it is

  - id: dropout-7.5
    model: model_4
    description: Model 4 with
      less dropout
    set: {train.dropout: 0.075}

  - id: short
    model: model_5
    description: Model 5, not for long
    set:
      models.model_5.epochs: 3
      train.learning_rate: 1e-5
"""


def read(text: str) -> dict[str, configurations.Run]:
    return configurations.runs(text, PARAMS)


def test_runs_are_seed_by_seed() -> None:
    runs = read(TEXT)
    assert list(runs) == [
        f"{name}-seed-{seed}" for seed in (1, 7) for name in ("as-it-is", "dropout-7.5", "short")
    ]
    assert all(run.name == name for name, run in runs.items())


def test_a_run_is_a_recipe_and_what_dvc_is_to_change() -> None:
    runs = read(TEXT)
    plain, less, short = (runs[f"{name}-seed-7"] for name in ("as-it-is", "dropout-7.5", "short"))
    assert plain.overrides == ("train.seed=7",)
    assert less.overrides == ("train.dropout=0.075", "train.seed=7")
    assert less.description == "Model 4 with less dropout"
    assert less.recipe == plain.recipe.model_copy(update={"dropout": 0.075})
    assert (plain.recipe.seed, plain.recipe.epochs, plain.recipe.rotation) == (7, 15, 0)
    assert short.overrides == (
        "models.model_5.epochs=3",
        "train.learning_rate=1e-5",
        "train.seed=7",
    )
    assert (short.recipe.epochs, short.recipe.rotation, short.recipe.learning_rate) == (3, 7, 1e-5)


def test_seeds_of_its_own() -> None:
    runs = read(
        TEXT.replace(
            "set: {train.dropout: 0.075}", "seeds: [2, 1, 3]\n    set: {train.dropout: 0.075}"
        )
    )
    assert list(runs) == [
        "as-it-is-seed-1",
        "dropout-7.5-seed-2",
        "short-seed-1",
        "as-it-is-seed-7",
        "dropout-7.5-seed-1",
        "short-seed-7",
        "dropout-7.5-seed-3",
    ]


@pytest.mark.parametrize(
    ("part", "instead", "line", "message"),
    [
        ("model: model_5", "model: model_5\n    seeds: [1, 1]", 17, "seed = 1: stands here twice"),
        ("model: model_5", "model: model_5\n    seeds: []", 17, "give a list of at least one"),
        ("seeds: [1, 7]", "seeds: [1, 1]", 2, "seed = 1: stands here twice"),
        ("seeds: [1, 7]", "seeds: [1, 01]", 2, "seed = 1: stands here twice"),
        ("seeds: [1, 7]", "seeds: [-1]", 2, "seed = -1: give a whole number, at least 0"),
        ("seeds: [1, 7]", "seeds: [a]", 2, "seed = a: give a whole number"),
        ("seeds: [1, 7]", "seeds: []", 2, "give a list of at least one"),
        ("seeds: [1, 7]", "seeds: 5", 2, "give a list of at least one"),
        ("seeds: [1, 7]", "seeds: [[1]]", 2, "give a single value"),
        ("seeds: [1, 7]", "seed: [1]", 2, "seed: unknown; known here: seeds, experiments"),
        ("seeds: [1, 7]\n", "\n", 4, "seeds is missing"),
        ("seeds: [1, 7]", "seeds: [1\n, 7", 5, "not YAML"),
        ("description: Model 4 as", "words: Model 4 as", 7, "words: unknown; known here: id, mo"),
        ("    model: model_4\n", "", 5, "model is missing"),
        ("model: model_5", "model: model_9", 16, "model = model_9: give one of model_1, model_2"),
        ("model: model_5", "model:", 16, "give a single value"),
        ("id: short", "id: Short", 15, "id = Short: give small letters and digits"),
        ("id: short", "id: a..b", 15, "id = a..b: give small letters and digits"),
        ("id: short", "id: as-it-is", 15, "id = as-it-is: also the id in .* line 5; give it ano"),
        ("id: short", "id: short\n    id: long", 16, "id: stands here twice; remove one"),
        ("train.dropout: 0.075", "train.droput: 0.1", 13, "train.droput: unknown; known here: tr"),
        ("train.dropout: 0.075", "train.seed: 2", 13, "train.seed: unknown; known here: train.ep"),
        ("train.dropout: 0.075", "candidate: model_1", 13, "candidate: unknown; known here: tr"),
        ("train.dropout: 0.075", "models.model_5.epochs: 2", 13, "models.model_5.epochs: unknown"),
        ("models.model_5.epochs", "train.epochs", 19, "train.epochs: unknown; known here: models"),
        ("train.dropout: 0.075", "train.dropout: 1.5", 13, "dropout = 1.5: give a number, at lea"),
        ("train.dropout: 0.075", "train.dropout: true", 13, "dropout = true: give a number"),
        ("train.dropout: 0.075", "train.dropout: [0.1, 0.2]", 13, "give a single value here"),
        (
            "train.dropout: 0.075",
            "train.train_images: 100",
            13,
            "batch_size = 128: give at most samp",
        ),
        ("train.dropout: 0.075", "train.dropout: 0.10", 9, "dropout-7.5: the same config.* as-it"),
        ("    set: {train.dropout: 0.075}", "", 9, "dropout-7.5: the same config.* as-it"),
        ("{train.dropout: 0.075}", "train.dropout=0.1", 13, "give keys with values here; known: t"),
    ],
)
def test_a_mistake_is_named_with_its_line(part: str, instead: str, line: int, message: str) -> None:
    assert part in TEXT
    with pytest.raises(UserError) as caught:
        read(TEXT.replace(part, instead, 1))
    assert re.match(rf"experiments\.yaml line {line}: {message}", str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("", "experiments.yaml: is empty"), ("[]", "line 1")]
)
def test_no_experiments_at_all(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(text)


def test_the_repository_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    runs = project_files.runs().values()
    # All but what a reader adds.
    assert {f"model_{number}" for number in range(1, 7)} <= {run.model for run in runs}
    seeds = Counter(run.configuration for run in runs)
    tested = {run.configuration for run in runs if not run.recipe.validation_images}
    assert {seeds[experiment] for experiment in tested} == {5, 10}
    assert {seeds[experiment] for experiment in seeds.keys() - tested} == {3}


def test_a_file_that_is_not_there(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(UserError, match=r"experiments\.yaml: no such file; `git restore"):
        project_files.runs()
    assert project_files.rows() == []
