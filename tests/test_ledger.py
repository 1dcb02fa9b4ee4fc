import re
from dataclasses import replace

import pytest

import models
from study.base.errors import UserError
from study.evidence import configurations, run_table
from study.evidence.run_table import Row
from tests.test_experiments import PARAMS, TEXT

RUNS = configurations.runs(TEXT, PARAMS)
METRICS = {
    "accuracy": 99.04,
    "loss": 0.0281,
    "best_accuracy": 99.1,
    "train_accuracy": 98.8,
    "last_epochs_std": 0.05,
    "parameters": 7416,
}


def row(name: str, **metrics: float) -> Row:
    """A run whose test accuracies are those of METRICS, whatever its other metrics say."""
    run = RUNS[name]
    written = run_table.format_metrics(METRICS | metrics)
    accuracies = (98.0,) * run.recipe.epochs
    accuracies = (*accuracies[:-3], 99.0, 99.1, 99.04)
    return Row(run.configuration, run.model, run.recipe, "5f3a", written, accuracies)


ROWS = [row("short-seed-1"), row("as-it-is-seed-7"), row("as-it-is-seed-1", loss=float("nan"))]


def test_rows_are_sorted_and_come_back() -> None:
    text = run_table.to_csv(ROWS)
    assert text == run_table.to_csv(reversed(ROWS))
    fifteen = "98.00 " * 12 + "99.00 99.10 99.04"
    constant, as_given = "constant,0.0,0.9,0.0,0.0,0.1", "0.0,0.0,0.0,0.0,nearest,60000,0,cpu"
    assert text.splitlines() == [
        "configuration,model,seed,epochs,batch_size,learning_rate,scheduler,warmup_fraction,momentum,"
        "weight_decay,ema_decay,dropout,rotation,translation,scaling,elastic,augmentation_anneal,interpolation,"
        "train_images,validation_images,device,revision,accuracy,best_accuracy,loss,train_accuracy,last_epochs_std,parameters,"
        "test_accuracies",
        f"as-it-is,model_4,1,15,128,0.01,{constant},0.0,{as_given},5f3a,99.04,99.10,nan,98.80,0.050,"
        f"7416,{fifteen}",
        f"as-it-is,model_4,7,15,128,0.01,{constant},0.0,{as_given},5f3a,99.04,99.10,0.0281,98.80,"
        f"0.050,7416,{fifteen}",
        f"short,model_5,1,3,128,1e-05,{constant},7.0,{as_given},5f3a,99.04,99.10,0.0281,98.80,0.050,"
        "7416,99.00 99.10 99.04",
    ]
    assert run_table.from_csv(text) == list(reversed(ROWS))


def test_no_rows() -> None:
    assert run_table.from_csv(run_table.to_csv([])) == []


@pytest.mark.parametrize(
    ("part", "instead", "message"),
    [
        ("configuration,", "", "line 1: give configuration,model,seed"),
        ("99.04", "99,04", "line 2: 30 values: give 29"),
        ("99.04", "good", "line 2: accuracy = good: give a number"),
        ("98.00", "98,00", "line 2: 30 values: give 29"),
        ("98.00", "high", "line 2: test_accuracies = high: give a number"),
        ("cpu", "gpu", "line 2: device = gpu: give cpu or cuda"),
        ("as-it-is,model_4,7", "as-it-is,model_4,1", "line 3: as-it-is-seed-1: also in another"),
        ("short", "short\n\n", "line 4: 1 values: give 29"),
    ],
)
def test_a_mistake_is_named_with_its_line(part: str, instead: str, message: str) -> None:
    text = run_table.to_csv(ROWS)
    assert part in text
    with pytest.raises(UserError, match=f"^metrics/runs.csv {message}"):
        run_table.from_csv(text.replace(part, instead, 1))


def test_an_empty_file() -> None:
    with pytest.raises(UserError, match="line 1: give configuration,model,seed"):
        run_table.from_csv("")


def test_merging_keeps_what_is_valid_and_the_later_row() -> None:
    stale = replace(ROWS[0], recipe=ROWS[0].recipe.model_copy(update={"momentum": 0.8}))
    of_another = replace(ROWS[1], model="model_3")
    gone = replace(ROWS[2], configuration="gone")
    newer = row("as-it-is-seed-1", accuracy=99.5)
    assert run_table.merge([stale, of_another, gone], RUNS) == {}
    assert run_table.merge([*ROWS, stale, newer], RUNS) == {
        "short-seed-1": ROWS[0],
        "as-it-is-seed-7": ROWS[1],
        "as-it-is-seed-1": newer,
    }


def contradictions(rows: list[Row], metrics: dict[str, dict[str, float]]) -> list[str]:
    recipes = {"model_4": RUNS["as-it-is-seed-1"].recipe, "model_5": RUNS["short-seed-1"].recipe}
    # Model 5 as it is has epochs of its own, so that the short one is another.
    recipes["model_5"] = recipes["model_5"].model_copy(update={"epochs": 25})
    return list(run_table.contradictions(rows, RUNS, recipes, metrics))


def test_a_ledger_that_agrees() -> None:
    rows = [
        row("as-it-is-seed-1"),
        row("as-it-is-seed-7", train_accuracy=1),
        row("short-seed-1", loss=9),
    ]
    assert contradictions(rows, {"model_4": METRICS}) == []
    assert contradictions([], {}) == []
    failed = METRICS | {"loss": float("nan")}
    assert contradictions([row("as-it-is-seed-1", **failed)], {"model_4": failed}) == []


def test_each_contradiction_is_a_line() -> None:
    rows = [
        row("as-it-is-seed-7"),
        row("as-it-is-seed-1", accuracy=99.05, last_epochs_std=0.1),
        replace(row("short-seed-1"), configuration="shorter"),
        replace(row("short-seed-7"), model="model_4"),
    ]
    found = contradictions(rows, {"model_4": METRICS})
    assert all("\n" not in line for line in found)
    for line, expected in zip(
        found,
        [
            r"line 3: as-it-is-seed-1: accuracy = 99\.05, metrics/model_4\.json has 99\.04 for",
            r"line 3: as-it-is-seed-1: last_epochs_std = 0\.100, metrics/model_4\.json has 0\.050",
            r"line 3: as-it-is-seed-1: accuracy = 99\.05, test_accuracies say 99\.04; `git restore",
            r"line 3: as-it-is-seed-1: last_epochs_std = 0\.100, test_accuracies say 0\.050; `git",
            r"line 4: shorter-seed-1: experiments\.yaml and params\.yaml ask for no such run",
            r"line 5: short-seed-7: experiments\.yaml and params\.yaml ask for no such run",
        ],
        strict=True,
    ):
        assert re.match(rf"metrics/runs\.csv {expected}", line)


def test_metrics_that_are_not_there() -> None:
    found = contradictions([row("as-it-is-seed-1")], {})
    assert len(found) == len(run_table.DECIMALS)
    assert "accuracy = 99.04, metrics/model_4.json has nothing for the same recipe" in found[0]


def test_a_row_without_an_epoch() -> None:
    short = replace(row("as-it-is-seed-7"), test_accuracies=(99.0, 99.04))
    (line,) = contradictions([short], {})
    assert "as-it-is-seed-7: 2 test_accuracies for 15 epochs; `git restore" in line
