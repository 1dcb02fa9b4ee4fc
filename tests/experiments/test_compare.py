"""`python -m experiments.compare`, which `make compare` runs, on files made by hand."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import compare
from stages import paths
from study.base.files import write
from study.evidence import run_table
from study.evidence.run_table import Row
from tests.checkout import ROOT
from tests.errors import message_of
from tests.evidence.hand_made import rows
from tests.reporting.report_inputs import METRICS

Printed = Callable[[str, str], dict[str, list[str]]]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the write-up, one run of two models, and Model 1 over its seeds."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "reference", "reference")
    for model in ("model_1", "model_3"):
        set_metrics(model, **dataclasses.asdict(METRICS[model]))
    shutil.copy(ROOT / paths.EXPERIMENTS, paths.EXPERIMENTS)
    set_runs(rows("model-1", [98.99, 99.04, 99.09], model="model_1"))


def set_runs(runs: list[Row]) -> None:
    paths.RUNS.write_text(run_table.to_csv(runs), encoding="utf-8")


def set_metrics(model: str, **values: float | None) -> None:
    write(paths.metrics(model), json.dumps(values))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Run the program; return the words that follow the name of each metric."""

    def run(a: str, b: str) -> dict[str, list[str]]:
        monkeypatch.setattr(sys, "argv", ["compare", a, b])
        compare.main()
        _, *lines = capsys.readouterr().out.splitlines()
        return {line.partition("  ")[0]: line.partition("  ")[2].split() for line in lines}

    return run


def test_difference_is_second_minus_first(printed: Printed) -> None:
    shown = printed("model_1", "model_3")
    assert shown["Accuracy, one run (%)"] == ["98.95", "98.41", "−0.54"]
    assert shown["Loss, one run (nats)"] == ["0.0293", "0.0512", "+0.0219"]
    assert shown["Parameters, one run"] == ["14,620", "3,928", "−10,692"]
    back = printed("model_3", "model_1")
    assert back["Accuracy, one run (%)"] == ["98.41", "98.95", "+0.54"]


def test_model_without_seeds_or_log_has_dashes(printed: Printed) -> None:
    """Model 3 has no log in the write-up, and here no runs with several seeds."""
    shown = printed("model_1", "model_3")
    assert shown["Accuracy, mean ± SD of seeds (%)"] == ["99.04", "±", "0.05", "–", "–"]
    assert shown["Seeds"] == ["3", "–"]
    assert shown["Accuracy, write-up (%)"] == ["98.98", "–", "–"]
    assert shown["Parameters, write-up"] == ["14,620", "3,928", "−10,692"]


def test_means_over_seeds_of_two_models_are_subtracted(printed: Printed) -> None:
    first = rows("model-1", [98.99, 99.04, 99.09], model="model_1")
    # The model with another recipe; the rows of a model are those that params.yaml has.
    other = rows("model-4-rotated", [97.0], model="model_1")
    set_runs([*first, *other, *rows("model-3", [98.65], model="model_3")])
    shown = printed("model_1", "model_3")
    assert shown["Accuracy, mean ± SD of seeds (%)"] == ["99.04", "±", "0.05", "98.65", "−0.39"]
    assert shown["Seeds"] == ["3", "1"]


def test_model_outside_the_write_up_leaves_out_its_lines(printed: Printed) -> None:
    set_metrics("model_6", accuracy=99.6)
    shown = printed("model_1", "model_6")
    assert shown["Accuracy, one run (%)"] == ["98.95", "99.60", "+0.65"]
    assert not [name for name in shown if "write-up" in name]


def test_missing_loss_and_validation_images_are_shown(printed: Printed) -> None:
    assert "Validation images, one run" not in printed("model_1", "model_3")
    set_metrics("model_3", accuracy=98.0, loss=None, validation_images=5_000)
    shown = printed("model_1", "model_3")
    assert shown["Loss, one run (nats)"] == ["0.0293", "–", "–"]
    assert shown["Validation images, one run"] == ["–", "5,000"]


@pytest.mark.parametrize(
    ("models", "key"),
    [(("model_9", "model_1"), "A"), (("model_1", "Model 4"), "B"), (("", ""), "A")],
)
def test_unknown_model_is_named(
    models: tuple[str, str], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", *models])
    message = message_of(lambda: compare.main())
    assert message.startswith(f"{key} must be one of ")
    assert all(part in message for part in ("model_1", "model_4_deeper", "`make compare"))
    assert (models["AB".index(key)] or "''") in message
