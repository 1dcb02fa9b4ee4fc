from collections import Counter

import pytest

import models
from study.evidence import configurations
from study.recipes import params_file
from tests.checkout import ROOT
from tests.errors import message_of

PARAMS = params_file.read((ROOT / "params.yaml").read_text("utf-8"), models.names())
TEXT = """\
# Three configurations.
seeds: [1, 7]
final: dropout-7.5

configurations:
  - id: base
    model: model_4
    default: true
    description: Model 4

  - id: dropout-7.5
    model: model_4
    description: Model 4 with
      less dropout
    set: {train.dropout: 0.075}

  - id: short
    model: model_5
    description: Model 5, few epochs
    set:
      models.model_5.epochs: 3
      train.learning_rate: 1e-5
"""


def test_runs_are_in_the_order_of_seeds() -> None:
    runs = configurations.runs(TEXT, PARAMS)
    assert list(runs) == [
        f"{name}-seed-{seed}" for seed in (1, 7) for name in ("base", "dropout-7.5", "short")
    ]
    assert all(run.name == name for name, run in runs.items())


def test_runs_use_the_seeds_of_their_configuration() -> None:
    text = TEXT.replace("model: model_5", "model: model_5\n    seeds: [2, 1, 3]")
    assert list(configurations.runs(text, PARAMS)) == [
        "base-seed-1",
        "dropout-7.5-seed-1",
        "short-seed-2",
        "base-seed-7",
        "dropout-7.5-seed-7",
        "short-seed-1",
        "short-seed-3",
    ]


def test_seeds_can_be_a_range() -> None:
    listed, ranged = (TEXT.replace("[1, 7]", seeds) for seeds in ("[2, 3, 4]", "2-4"))
    assert configurations.runs(listed, PARAMS) == configurations.runs(ranged, PARAMS)


def test_run_has_the_recipe_of_another_model() -> None:
    """Under the keys of its own, so that `dvc exp run -S` sets what its training reads."""
    other = "\n    model: {}\n    recipe: {}\n    set: {{{}: 2}}\n    description: Exchanged\n"
    text = "seeds: [7]\nconfigurations:\n  - id: there" + other.format(
        "model_4", "model_5", "train.momentum"
    ).replace(": 2}", ": 0.5}")
    text += "  - id: back" + other.format("model_5", "model_4", "models.model_5.epochs")
    there, back = configurations.runs(text, PARAMS).values()
    own = {name: PARAMS.models[name].model_copy(update={"seed": 7}) for name in PARAMS.models}
    assert there.recipe == own["model_5"].model_copy(update={"momentum": 0.5})
    assert there.overrides == (
        "train.epochs=25",
        "train.rotation=7.0",
        "train.momentum=0.5",
        "train.seed=7",
    )
    assert back.recipe == own["model_4"].model_copy(update={"epochs": 2})
    assert back.overrides == (
        "models.model_5.epochs=2",
        "models.model_5.rotation=0.0",
        "train.seed=7",
    )


def test_run_has_recipe_and_overrides() -> None:
    runs = configurations.runs(TEXT, PARAMS)
    base, dropout, short = (runs[f"{name}-seed-7"] for name in ("base", "dropout-7.5", "short"))
    assert base.overrides == ("train.seed=7",)
    assert dropout.overrides == ("train.dropout=0.075", "train.seed=7")
    assert dropout.description == "Model 4 with less dropout"
    assert dropout.recipe == base.recipe.model_copy(update={"dropout": 0.075})
    assert (base.recipe.seed, base.recipe.epochs, base.recipe.rotation) == (7, 15, 0)
    assert short.overrides == (
        "models.model_5.epochs=3",
        "train.learning_rate=1e-5",
        "train.seed=7",
    )
    assert (short.recipe.epochs, short.recipe.rotation, short.recipe.learning_rate) == (3, 7, 1e-5)


def test_file_has_seeds_descriptions_defaults_and_the_final_configuration() -> None:
    file = configurations.read(TEXT)
    assert list(file.descriptions) == ["base", "dropout-7.5", "short"]
    assert file.descriptions["dropout-7.5"] == "Model 4 with less dropout"
    assert file.defaults == {"base": "model_4"}
    assert file.seeds_of == dict.fromkeys(file.descriptions, (1, 7))
    assert file.final == "dropout-7.5"
    assert configurations.read(TEXT.replace("final: dropout-7.5", "")).final is None
    closed = configurations.read(f"{CLOSED}old}}]\n{TEXT}")
    assert closed.descriptions == file.descriptions | {"old": "a trial"}
    assert [(each.id, each.description) for each in closed.closed] == [("old", "a trial")]
    assert configurations.runs(TEXT, PARAMS) == configurations.runs(
        f"{CLOSED}old}}]\n{TEXT}", PARAMS
    )


SEEDS = "seeds: [1, 7]"
DROPOUT = "train.dropout: 0.075"
CLOSED = "closed: [{description: a trial, id: "


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        (SEEDS, "seeds: [1, 01]", 2, ("seeds", "duplicates")),
        (SEEDS, "seeds: [-1]", 2, ("seeds.0", "[0, 4294967296)", "-1")),
        (SEEDS, "seeds: [a]", 2, ("seeds.0", "integer", "a")),
        (SEEDS, "seeds: []", 2, ("seeds", "at least 1")),
        (SEEDS, "seeds: 5", 2, ("seeds", "range such as 1-30", "list", "got 5")),
        (SEEDS, "seeds: 5-1", 2, ("seeds", "range", "5-1")),
        (SEEDS, "seeds: 1-99999999", 2, ("seeds", "10,000", "1-99999999")),
        (SEEDS, "seeds: 4294967290-4294967299", 2, ("seeds.6", "4294967296")),
        (SEEDS, "seed: [1]", 2, ("seed", "seeds, final, configurations, closed")),
        (f"{SEEDS}\n", "\n", 3, ("seeds", "missing")),
        (SEEDS, f"{SEEDS}\n{SEEDS}", 3, ("duplicate", "seeds")),
        ("final: dropout-7.5", "final: dropout", 3, ("final", "dropout")),
        (SEEDS, f"{SEEDS}\n{CLOSED}base}}]", 3, ("duplicate", "base", "line 7")),
        ("final: dropout-7.5", f"final: old\n{CLOSED}old}}]", 3, ("final", "old")),
        ("model: model_5", "model: model_5\n    seeds: [1, 1]", 19, ("seeds", "duplicates")),
        ("description: Model 4\n", "words: Model 4\n", 9, ("words", "id, model, description")),
        ("    model: model_5\n", "", 17, ("model", "missing")),
        ("model: model_5", "model: model_9", 18, ("model", "model_1, model_2", "model_9")),
        ("model: model_5", "model: model_5\n    recipe: model_9", 19, ("recipe", "model_9")),
        ("default: true", "default: true\n    recipe: model_5", 8, ("default", "recipe")),
        ("model: model_5", "model:", 18, ("model", "text", "nothing")),
        ("id: short", "id: Short", 17, ("id", "lowercase", "Short")),
        ("id: short", "id: a..b", 17, ("id", "a..b")),
        ("id: short", "id: base", 17, ("id", "base", "line 6")),
        ("default: true", "default: perhaps", 8, ("default", "true or false", "perhaps")),
        (f"set: {{{DROPOUT}}}", "default: true", 15, ("default", "model_4", "base", "dropout")),
        (f"set: {{{DROPOUT}}}", f"set: {{{DROPOUT}}}\n    default: true", 16, ("default", "set")),
        (DROPOUT, "train.droput: 0.1", 15, ("train.droput", "train.dropout")),
        # A model has its own value of some keys, and takes the others from `train`.
        ("models.model_5.epochs", "train.epochs", 21, ("use models.model_5.epochs",)),
        (DROPOUT, "models.model_4.dropout: 0.1", 15, ("use train.dropout",)),
        (DROPOUT, "train.seed: 2", 15, ("train.seed", "train.epochs")),
        (DROPOUT, "candidate: model_1", 15, ("candidate", "train.epochs")),
        (DROPOUT, "models.model_5.epochs: 2", 15, ("models.model_5.epochs", "train.epochs")),
        ("models.model_5.epochs", "train.epochs", 21, ("train.epochs", "models.model_5.epochs")),
        (DROPOUT, "train.dropout: 1.5", 15, ("dropout", "[0, 0.99]", "1.5")),
        (DROPOUT, "train.dropout: true", 15, ("dropout", "true")),
        (DROPOUT, "train.dropout: [0.1, 0.2]", 15, ("train.dropout", "[0.1, 0.2]")),
        (DROPOUT, "train.train_images: 100", 15, ("batch_size", "100", "128")),
        (f"{{{DROPOUT}}}", "train.dropout=0.1", 15, ("set", "keys", "train.dropout=0.1")),
        # The same recipe in other words.
        (DROPOUT, "train.dropout: 0.10", 11, ("dropout-7.5", "base")),
        (f"    set: {{{DROPOUT}}}", "", 11, ("dropout-7.5", "base")),
    ],
)
def test_runs_names_line_key_and_value(
    old: str, new: str, line: int, parts: tuple[str, ...]
) -> None:
    assert old in TEXT
    message = complaint(TEXT.replace(old, new, 1))
    assert message.startswith(f"experiments.yaml line {line}: ")
    assert all(part in message for part in parts), message
    assert message.isprintable()


def complaint(text: str) -> str:
    return message_of(lambda: configurations.runs(text, PARAMS))


def test_experiments_yaml_has_every_model_with_enough_seeds() -> None:
    text = (ROOT / "experiments.yaml").read_text("utf-8")
    runs = configurations.runs(text, PARAMS).values()
    # At least: a reader may add more.
    assert {f"model_{number}" for number in range(1, 7)} <= {run.model for run in runs}
    seeds = Counter(run.configuration for run in runs)
    tested = {run.configuration for run in runs if not run.recipe.validation_images}
    assert {seeds[each] for each in tested} == {30}
    assert {seeds[each] for each in seeds.keys() - tested} == {3, 8}


def test_experiments_yaml_defaults_have_the_recipe_of_params_yaml() -> None:
    text = (ROOT / "experiments.yaml").read_text("utf-8")
    file, runs = configurations.read(text), configurations.runs(text, PARAMS)
    assert file.final in file.defaults
    for name, model in file.defaults.items():
        run = runs[configurations.run_name(name, PARAMS.models[model].seed)]
        assert run.recipe == PARAMS.models[model]
