"""From measurements to results and pages; and the whole of it in small."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import models
from benchmarks import __main__ as bench
from benchmarks import comparison, performance_page, pipeline, processes
from benchmarks.processes import Measurement
from study.base.files import write
from tests.checkout import ROOT
from tests.recipes import recipe

RECIPE = recipe(epochs=1, dropout=0, train_images=128)


def measured(start_up: float, training: float, testing: float, memory: int) -> Measurement:
    return {
        "start_up_seconds": start_up,
        "training_seconds": training,
        "testing_seconds": testing,
        "peak_memory_mib": memory,
        "threads": 2,
    }


def example() -> comparison.Comparison:
    """Two models in three turns: 67 of 469 batches measured, so an epoch is 7 times that."""
    recipes = {
        "model_2": RECIPE.model_copy(update={"epochs": 3}),
        "model_1": RECIPE.model_copy(update={"epochs": 2}),
    }
    turns: list[comparison.Turn] = [
        {
            # Epochs of 7 * 4 + 2 = 30 s and 7 * 2 + 1 = 15 s for two at once.
            "model_2": {"baseline": measured(5, 4, 2, 700), "project": measured(7, 2, 1, 900)},
            # Epochs of 7 * slow + 1 s and 7 + 1 = 8 s for two at once.
            "model_1": {
                "baseline": measured(5, slow, 1, 600),
                "project": measured(7, 1, 1, 800),
            },
        }
        for slow in (1, 5, 2)
    ]
    return comparison.compare(turns, recipes, batches=67, jobs=2)


def test_recipes_and_order_are_the_pipelines() -> None:
    recipes = comparison.recipes()
    assert sorted(recipes) == models.names()
    assert comparison.order() == sorted(models.names(), reverse=True)
    assert {each.device for each in recipes.values()} == {"cpu"}
    values = {model: (each.epochs, each.rotation) for model, each in recipes.items()}
    assert (values["model_1"], values["model_5"]) == ((15, 0), (25, 7))


@pytest.mark.parametrize(
    ("runs", "at_once", "expected"),
    [
        ([3, 1, 2], 1, 6),
        ([3, 1, 2], 2, 3),
        ([1, 2, 3], 2, 4),  # the longest last leaves a place empty
        ([3, 1, 2], 8, 3),
    ],
)
def test_makespan(runs: list[float], at_once: int, expected: float) -> None:
    assert comparison.makespan(runs, at_once) == expected


def test_one_plain_loop_is_compared_with_all_jobs_of_this_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, int]] = []
    monkeypatch.setattr(
        comparison, "measure", lambda module, _, copies, __: started.append((module, copies))
    )
    comparison.take_turn({"model_3": RECIPE}, 2, 4, tmp_path)
    assert started == [("benchmarks.baseline_loop", 1), ("benchmarks.project_loop", 4)]


def test_slowest_copy_counts_and_memory_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = [
        json.dumps(measured(0, training, 1, memory)) for training, memory in ((4, 300), (2, 400))
    ]
    monkeypatch.setattr(processes, "run", lambda *_, **__: (10, outputs))
    assert processes.measure("any", [], 2, tmp_path) == measured(5, 4, 1, 700)


def test_shell_does_not_limit_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, the plain loop could be measured with fewer of them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write(tmp_path / "shown.py", "import os\nprint(os.environ.get('OMP_NUM_THREADS'))\n")
    _, outputs = processes.run("shown", [], folder=tmp_path)
    assert outputs == ["None\n"]


def test_comparison_takes_medians_of_scaled_epochs() -> None:
    compared = example()
    assert list(compared["models"]) == ["model_1", "model_2"]
    assert compared["models"]["model_2"] == {
        "epochs": 3,
        "batches_per_epoch": 469,
        "baseline": {"start_up_seconds": 5, "epoch_seconds": 30, "peak_memory_mib": 700},
        "project": {"start_up_seconds": 7, "epoch_seconds": 15, "peak_memory_mib": 900},
        "project_share_seconds": 7.5,
        "speedup": {"median": 4, "least": 4, "most": 4},
    }
    # Epochs of 8, 36 and 15 s against a share of 4 s.
    assert compared["models"]["model_1"]["baseline"]["epoch_seconds"] == 15
    assert compared["models"]["model_1"]["speedup"] == {"median": 3.75, "least": 2, "most": 9}
    # One after the other: 5 + 3 * 30 and 5 + 2 * 15; both at once: the longer of 7 + 3 * 15
    # and 7 + 2 * 8. With the other turns' 8 and 36 s: 116 and 172 s against the same 52 s.
    assert compared["study"] == {
        "baseline_seconds": 130,
        "project_seconds": 52,
        "speedup": 2.5,
        "speedup_by_turn": [2.23, 3.31, 2.5],
    }


def test_epochs_of_smaller_batches_are_scaled_more() -> None:
    """67 of 938 batches."""
    pair: comparison.Pair = {
        "baseline": measured(5, 4, 2, 700),
        "project": measured(5, 2, 2, 700),
    }
    recipes = {"model_6": recipe(batch_size=64)}
    compared = comparison.compare([{"model_6": pair}], recipes, batches=67, jobs=1)
    model = compared["models"]["model_6"]
    assert model["baseline"]["epoch_seconds"] == 14 * 4 + 2
    assert model["batches_per_epoch"] == 938


def test_disturbances_of_different_models_do_not_add_up() -> None:
    """One model in one turn, another model in another turn: the medians of both stay."""
    calm, slow = measured(5, 4, 2, 700), measured(5, 400, 2, 700)
    turns: list[comparison.Turn] = [
        {
            "model_1": {"baseline": first, "project": calm},
            "model_2": {"baseline": second, "project": calm},
        }
        for first, second in ((slow, calm), (calm, slow), (calm, calm))
    ]
    recipes = {name: RECIPE.model_copy(update={"epochs": 1}) for name in ("model_1", "model_2")}
    study = comparison.compare(turns, recipes, batches=67, jobs=2)["study"]
    assert study["speedup"] == 2
    assert max(study["speedup_by_turn"]) > 50


def test_performance_page_shows_the_results() -> None:
    results: performance_page.Results = {
        "machine": {
            "processor": "Some Processor",
            "cores": 2,
            "load": 0.2,
            "versions": {"torch": "2"},
        },
        "comparison": example(),
        "growth": {
            "train_images": 1000,
            "by_epochs": [5, 6, 8],
            "by_images": [5, 5.5, 6.5],
            "by_models": [5, 10, 20],
            "by_jobs": [5, 5, 10],
        },
        "no_change_seconds": None,
    }
    text = performance_page.markdown(results)
    lines = text.splitlines()
    assert "| Model 1 | 15.0 | 4.0 | 3.8 (2.0–9.0) | 600 MiB | 800 MiB |" in lines
    assert any("5 epochs | 2.2 min | 0.9 min | 2.5 |" in line for line in lines)
    assert "| 1,000, 2,000, 4,000 images | 5.0 s | 5.5 s | 6.5 s | 0.5 s | 0.5 s |" in lines
    assert "| 1, 2, 4 models at once | 5.0 s | 5.0 s | 10.0 s | 0.0 s | 2.5 s |" in lines
    for part in (
        "67 of 469",
        "2.2, 3.3, 2.5",
        "5.0 s for the",
        "7.0 s for this",
        "Some Processor",
        "not measured",
    ):
        assert part in text
    assert {line.count("|") for line in lines if line.startswith("|")} == {7}


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.scaling", "benchmarks.steps"])
def test_help_measures_nothing(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert text.startswith(f"usage: python -m {module} ")


@pytest.mark.slow
def test_repro_is_timed_only_if_nothing_changed(tmp_path: Path) -> None:
    def dvc(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=tmp_path, check=True)

    dvc("init", "--no-scm", "--quiet")
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: echo a > a, deps: [b], outs: [a]}}")
    (tmp_path / "b").write_text("1")
    assert pipeline.no_change_seconds(tmp_path) is None
    assert not (tmp_path / "a").exists()
    dvc("repro", "--quiet")
    seconds = pipeline.no_change_seconds(tmp_path)
    assert seconds is not None
    assert 0 < seconds < 60
    (tmp_path / "b").write_text("2")
    assert pipeline.no_change_seconds(tmp_path) is None


@pytest.mark.slow
def test_benchmark_in_small(mnist_folder: Path, tmp_path: Path) -> None:
    results = bench.measure(
        ["model_3", "model_5"],
        tmp_path,
        mnist_folder,
        turns=1,
        batches=2,
        train_images=RECIPE.batch_size,
    )
    assert set(results) == set(get_type_hints(performance_page.Results))
    [turn] = results["comparison"]["turns"]
    for pair in turn.values():
        for loop in (pair["baseline"], pair["project"]):
            assert set(loop) == set(get_type_hints(Measurement))
            assert all(value > 0 for value in loop.values() if isinstance(value, int | float))
        assert pair["project"]["threads"] == 1
    for points in (
        results["growth"]["by_epochs"],
        results["growth"]["by_images"],
        results["growth"]["by_models"],
        results["growth"]["by_jobs"],
    ):
        assert len(points) == 3
    assert results["growth"]["by_models"][2] > 2 * results["growth"]["by_models"][0]
    assert "| Model 3 |" in performance_page.markdown(results)
    assert str(mnist_folder) not in json.dumps(results)
