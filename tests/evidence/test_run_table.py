from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.base.files import read_text
from study.evaluation.metrics import Metrics
from study.evidence import configurations, run_table
from study.evidence.run_table import Row
from tests.errors import message_of
from tests.evidence.test_configurations import PARAMS, TEXT

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
    """A run with the test accuracies of METRICS, whatever its other metrics are."""
    run = RUNS[name]
    return Row(
        configuration=run.configuration,
        model=run.model,
        recipe=run.recipe,
        revision="5f3a",
        metrics=run_table.format_metrics(METRICS | metrics),
        test_accuracies=(*(98.0,) * (run.recipe.epochs - 3), 99.0, 99.1, 99.04),
    )


ROWS = [row("short-seed-1"), row("base-seed-7"), row("base-seed-1", loss=12)]


def test_to_csv_sorts_rows_by_configuration_and_seed() -> None:
    text = run_table.to_csv(ROWS)
    assert text == run_table.to_csv(reversed(ROWS))
    header, *lines = text.splitlines()
    assert tuple(header.split(",")) == run_table.COLUMNS
    cells = [dict(zip(run_table.COLUMNS, line.split(","), strict=True)) for line in lines]
    assert [(each["configuration"], each["seed"]) for each in cells] == [
        ("base", "1"),
        ("base", "7"),
        ("short", "1"),
    ]
    base, _, short = cells
    assert (base["accuracy"], base["loss"], base["parameters"]) == ("99.04", "12.0000", "7416")
    assert (short["learning_rate"], short["last_epochs_std"]) == ("1e-05", "0.050")
    assert short["test_accuracies"] == "99.00 99.10 99.04"


@pytest.mark.parametrize("rows", [ROWS, []])
def test_from_csv_reads_to_csv(rows: list[Row]) -> None:
    assert run_table.from_csv(run_table.to_csv(rows)) == list(reversed(rows))


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        ("configuration,", "", 1, ("configuration,model,seed", "`git restore")),
        ("99.04", "99,04", 2, ("29", "30")),
        ("99.04", "good", 2, ("accuracy", "number", "good")),
        ("98.00", "high", 2, ("test_accuracies", "number", "high")),
        ("98.00", "inf", 2, ("test_accuracies", "number", "inf")),
        ("7416", "nan", 2, ("parameters", "number", "nan")),
        (" 99.04", "", 2, ("test_accuracies", "15", "14", "`git restore")),
        ("cpu", "gpu", 2, ("device", "cpu or cuda", "gpu")),
        ("base,model_4,7", "base,model_4,1", 3, ("duplicate", "base-seed-1")),
        ("short", "short\n\n", 4, ("29", "1")),
    ],
)
def test_from_csv_names_line_and_mistake(
    old: str, new: str, line: int, parts: tuple[str, ...]
) -> None:
    text = run_table.to_csv(ROWS)
    assert old in text
    message = complaint(text.replace(old, new, 1))
    assert message.startswith(f"metrics/runs.csv line {line}: ")
    assert all(part in message for part in parts), message


@pytest.mark.fault(
    "a run table saved by an editor: a byte-order mark, CRLF, blanks, empty lines, "
    "no newline at the end, quotes",
    "read as it was",
)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "  \n"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "".join(f'"{line}"\n' for line in text.replace(",", '","').splitlines()),
    ],
    ids=["mark", "crlf", "trailing", "blanks", "empty", "end", "quotes"],
)
def test_from_csv_reads_what_an_editor_has_saved(
    change: Callable[[str], str], tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(change(run_table.to_csv(ROWS)).encode())
    assert run_table.from_csv(read_text(path)) == list(reversed(ROWS))


@pytest.mark.fault("a run table separated by semicolons or tabs", "one line asks for commas")
@pytest.mark.parametrize("separator", [";", "\t"])
def test_from_csv_other_separator_is_named(separator: str) -> None:
    message = complaint(run_table.to_csv(ROWS).replace(",", separator))
    assert message.startswith("metrics/runs.csv line 1: ")
    assert "commas" in message


def test_from_csv_empty_file_names_the_header() -> None:
    assert "line 1" in complaint("")


def complaint(text: str) -> str:
    return message_of(lambda: run_table.from_csv(text))


def test_merge_keeps_valid_rows_and_the_last_of_a_name() -> None:
    stale = replace(ROWS[0], recipe=ROWS[0].recipe.model_copy(update={"momentum": 0.8}))
    of_another = replace(ROWS[1], model="model_3")
    gone = replace(ROWS[2], configuration="gone")
    newer = row("base-seed-1", accuracy=99.5)
    assert run_table.merge([stale, of_another, gone], RUNS) == {}
    assert run_table.merge([stale, gone], RUNS, closed=["gone"]) == {gone.name: gone}
    assert run_table.merge([*ROWS, stale, newer], RUNS) == {
        "short-seed-1": ROWS[0],
        "base-seed-7": ROWS[1],
        "base-seed-1": newer,
    }


def contradictions(rows: list[Row], metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    recipes = {
        "model_4": RUNS["base-seed-1"].recipe,
        # Not that of the short configuration.
        "model_5": RUNS["short-seed-1"].recipe.model_copy(update={"epochs": 25}),
    }
    measured = {name: Metrics(**each) for name, each in metrics.items()}
    return list(run_table.contradictions(rows, RUNS, ["closed"], recipes, measured))


def test_contradictions_none_in_rows_that_agree() -> None:
    rows = [
        row("base-seed-1"),
        # Neither has the recipe of params.yaml.
        row("base-seed-7", train_accuracy=1),
        row("short-seed-1", loss=9),
    ]
    assert contradictions(rows, {"model_4": METRICS}) == []
    assert contradictions([], {}) == []


def test_rows_of_two_networks_in_one_configuration_are_a_contradiction() -> None:
    """The model's file was edited after the first run."""
    found = contradictions([row("short-seed-1"), row("short-seed-7", parameters=3)], {})
    assert len(found) == 1
    assert all(part in found[0] for part in ("metrics/runs.csv", "short", "3", "7416"))


def test_accuracy_of_a_gpu_may_differ_from_that_of_the_cpu() -> None:
    evaluated = replace(row("base-seed-1", accuracy=99.05), configuration="closed")
    assert len(contradictions([evaluated], {})) == 1
    on_gpu = evaluated.recipe.model_copy(update={"device": "cuda"})
    assert contradictions([replace(evaluated, recipe=on_gpu)], {}) == []


def test_contradictions_are_one_line_each() -> None:
    rows = [
        row("base-seed-7"),
        row("base-seed-1", accuracy=99.05, last_epochs_std=0.1),
        replace(row("short-seed-1"), configuration="shorter"),
        replace(row("short-seed-7"), model="model_4"),
        replace(row("base-seed-1"), configuration="closed"),
        replace(row("base-seed-7", accuracy=99.05), configuration="closed"),
    ]
    found = contradictions(rows, {"model_4": METRICS})
    expected: list[tuple[int, tuple[str, ...]]] = [
        (3, ("base-seed-1", "accuracy", "99.05", "metrics/models/model_4.json", "99.04")),
        (3, ("base-seed-1", "last_epochs_std", "0.100", "metrics/models/model_4.json", "0.050")),
        (3, ("base-seed-1", "last_epochs_std", "0.100", "test_accuracies", "0.050")),
        (3, ("base-seed-1", "accuracy", "99.05", "test_accuracies", "99.04")),
        (4, ("shorter-seed-1", "experiments.yaml")),
        (5, ("short-seed-7", "experiments.yaml")),
        (7, ("closed-seed-7", "accuracy", "99.05", "test_accuracies", "99.04")),
    ]
    for message, (line, parts) in zip(found, expected, strict=True):
        assert message.startswith(f"metrics/runs.csv line {line}: ")
        assert "\n" not in message
        assert all(part in message for part in parts), message


def test_contradictions_with_missing_metrics_are_one_per_metric() -> None:
    only = row("base-seed-1")
    found = contradictions([only], {})
    assert len(found) == len(only.metrics)
    assert all("nothing" in line for line in found)
