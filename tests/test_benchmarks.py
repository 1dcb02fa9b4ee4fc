import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import ElasticTransform

import models
from benchmarks import __main__ as bench
from benchmarks import cluster, comparison, pipeline, processes, scaling, tables, textbook
from benchmarks.processes import Measurement
from study.base.errors import UserError
from study.data import mnist
from study.evaluation import evaluator
from study.training import augmentation, sgd
from tests.recipes import recipe

RECIPE = recipe(epochs=1, dropout=0, train_images=128)


def first(images: int, dataset: Dataset[tuple[Tensor, Tensor]]) -> textbook.Loader:
    return DataLoader(Subset(dataset, range(images)), batch_size=images)


@pytest.mark.parametrize("model", models.names())
def test_both_loops_compute_the_same(mnist_folder: Path, model: str) -> None:
    network = sgd.initialise(model, RECIPE)
    theirs = copy.deepcopy(network).to(memory_format=torch.contiguous_format)

    said = sgd.Trainer(network, mnist.read(mnist_folder, "train", 128), RECIPE).train(0)
    loss, accuracy = textbook.train(
        theirs,
        first(128, textbook.mnist(mnist_folder, True, textbook.train_transform(RECIPE))),
        torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9),
    )
    assert said.last_batch_loss == pytest.approx(loss, rel=1e-4)
    assert said.accuracy == pytest.approx(accuracy)
    # In the deeper network and this batch, rounding puts a value on the other side of a ReLU.
    apart = 2e-3 if model == "model_4_deeper" else 1e-4
    for ours, usual in zip(network.parameters(), theirs.parameters(), strict=True):
        assert ours.grad is not None
        assert usual.grad is not None
        # Where a batch norm follows, some gradients are 0 but for rounding.
        assert float((ours.grad - usual.grad).norm()) < apart * float(usual.grad.norm()) + 1e-6

    tested = evaluator.evaluate(network, *mnist.read(mnist_folder, "test", 500))
    test_set = textbook.mnist(mnist_folder, False, textbook.test_transform())
    loss, accuracy = textbook.test(theirs, first(500, test_set))
    assert tested.loss == pytest.approx(loss, rel=1e-3)
    assert tested.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize("key", ["rotation", "translation", "scaling", "elastic"])
def test_the_textbook_changes_images_only_when_asked(mnist_folder: Path, key: str) -> None:
    some = recipe(**{key: 0.5 if key == "scaling" else 5})
    as_it_is, same, changed, again = (
        next(iter(first(8, textbook.mnist(mnist_folder, True, textbook.train_transform(r)))))[0]
        for r in (RECIPE, RECIPE, some, some)
    )
    assert torch.equal(as_it_is, same)
    assert not torch.equal(as_it_is, changed)
    assert not torch.equal(changed, again)


def test_the_textbook_pulls_images_about_as_far() -> None:
    """As this project does, in pixels."""
    (transform,) = (
        each
        for each in textbook.train_transform(recipe(elastic=3)).transforms
        if isinstance(each, ElasticTransform)
    )
    theirs = torch.cat(
        [transform.get_params(transform.alpha, transform.sigma, [28, 28]) for _ in range(200)]
    )
    weights = augmentation.splines(28)
    shape = (200, 2, augmentation.CONTROL_POINTS, augmentation.CONTROL_POINTS)
    ours = weights @ np.random.default_rng(1).uniform(-3, 3, shape) @ weights.T
    assert 28 / 2 * float(theirs.std()) == pytest.approx(ours.std(), rel=0.05)


def test_the_textbook_has_none_of_this_project_s_settings() -> None:
    """Neither by its own imports nor from the process that starts it."""
    for module in ("benchmarks.textbook", "benchmarks.__main__"):
        code = (
            f"import os, sys; before = dict(os.environ); import {module};"
            "sys.exit('stages' in sys.modules or before != dict(os.environ))"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=processes.ROOT).returncode == 0


def test_recipes_and_order_are_the_pipeline_s() -> None:
    recipes = comparison.recipes()
    assert sorted(comparison.order()) == sorted(recipes) == models.names()
    own = {model: (r.epochs, r.rotation, r.batch_size) for model, r in recipes.items()}
    assert own.pop("model_4_deeper") == (15, 7, 128)
    assert own.pop("model_5") == (25, 7, 128)
    assert own.pop("model_6") == own.pop("model_6_standard") == (15, 10, 64)
    assert set(own.values()) == {(15, 0, 128)}


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


def measured(start_up: float, training: float, testing: float, memory: int) -> Measurement:
    return {
        "start_up_seconds": start_up,
        "training_seconds": training,
        "testing_seconds": testing,
        "peak_memory_mib": memory,
        "threads": 2,
    }


def given() -> comparison.Comparison:
    """Two models in three turns: 67 of 469 batches measured, so an epoch is 7 times that."""
    recipes = {
        "model_2": RECIPE.model_copy(update={"epochs": 3}),
        "model_1": RECIPE.model_copy(update={"epochs": 2}),
    }
    turns: list[comparison.Turn] = [
        {
            # Epochs of 7 * 4 + 2 = 30 s and 7 * 2 + 1 = 15 s for two at once.
            "model_2": {"textbook": measured(5, 4, 2, 700), "project": measured(7, 2, 1, 900)},
            # Epochs of 7 * slow + 1 s and 7 + 1 = 8 s for two at once.
            "model_1": {
                "textbook": measured(5, slow, 1, 600),
                "project": measured(7, 1, 1, 800),
            },
        }
        for slow in (1, 5, 2)
    ]
    return comparison.compare(turns, recipes, batches=67, jobs=2)


def test_scaling() -> None:
    compared = given()
    assert list(compared["models"]) == ["model_1", "model_2"]
    assert compared["models"]["model_2"] == {
        "epochs": 3,
        "batches_per_epoch": 469,
        "textbook": {"start_up_seconds": 5, "epoch_seconds": 30, "peak_memory_mib": 700},
        "project": {"start_up_seconds": 7, "epoch_seconds": 15, "peak_memory_mib": 900},
        "project_share_seconds": 7.5,
        "speedup": {"median": 4, "least": 4, "most": 4},
    }
    # Epochs of 8, 36 and 15 s against a share of 4 s.
    assert compared["models"]["model_1"]["textbook"]["epoch_seconds"] == 15
    assert compared["models"]["model_1"]["speedup"] == {"median": 3.75, "least": 2, "most": 9}
    # One after the other: 5 + 3 * 30 and 5 + 2 * 15; both at once: the longer of 7 + 3 * 15
    # and 7 + 2 * 8. With the other turns' 8 and 36 s: 116 and 172 s against the same 52 s.
    assert compared["study"] == {
        "textbook_seconds": 130,
        "project_seconds": 52,
        "speedup": {"median": 2.5, "least": 2.23, "most": 3.31},
    }


def test_smaller_batches_are_more_of_an_epoch() -> None:
    """67 of 938 batches: twice as much is left to scale."""
    pair: comparison.Pair = {
        "textbook": measured(5, 4, 2, 700),
        "project": measured(5, 2, 2, 700),
    }
    recipes = {"model_6": recipe(batch_size=64)}
    model = comparison.compare([{"model_6": pair}], recipes, batches=67, jobs=1)["models"][
        "model_6"
    ]
    assert model["textbook"]["epoch_seconds"] == 14 * 4 + 2
    assert model["batches_per_epoch"] == 938


def test_disturbed_measurements_do_not_add_up() -> None:
    """One model in one turn, another model in another turn: the medians of both stay."""
    calm, slow = measured(5, 4, 2, 700), measured(5, 400, 2, 700)
    turns: list[comparison.Turn] = [
        {
            "model_1": {"textbook": first, "project": calm},
            "model_2": {"textbook": second, "project": calm},
        }
        for first, second in ((slow, calm), (calm, slow), (calm, calm))
    ]
    recipes = {name: RECIPE.model_copy(update={"epochs": 1}) for name in ("model_1", "model_2")}
    study = comparison.compare(turns, recipes, batches=67, jobs=2)["study"]
    assert study["speedup"]["median"] == study["speedup"]["least"] == 2
    assert study["speedup"]["most"] > 50


def test_tables() -> None:
    results: tables.Results = {
        "machine": {
            "processor": "Some Processor",
            "cores": 2,
            "load": 0.2,
            "versions": {"torch": "2"},
        },
        "comparison": given(),
        "growth": {
            "train_images": 1000,
            "by_epochs": [5, 6, 8],
            "by_samples": [5, 5.5, 6.5],
            "by_models": [5, 10, 20],
            "by_jobs": [5, 5, 10],
        },
        "no_change_seconds": None,
    }
    text = tables.markdown(results)
    assert tables.markdown(json.loads(json.dumps(results))) == text
    lines = text.splitlines()
    assert "| Model 1 | 15.0 | 8.0 | 4.0 | 3.8 (2.0–9.0) | 600 MiB | 800 MiB |" in lines
    assert "| Whole study, 5 epochs | 2.2 min | | 0.9 min | 2.5 (2.2–3.3) | | |" in lines
    assert "| 1,000, 2,000, 4,000 train_images | 5.0 s | 5.5 s | 6.5 s | 0.5 s | 0.5 s |" in lines
    assert "| 1, 2, 4 models at once (JOBS) | 5.0 s | 5.0 s | 10.0 s | 0.0 s | 2.5 s |" in lines
    assert "67 of 469 batches" in text
    assert "5.0 s for the textbook, 7.0 s for this project" in text
    assert "Some Processor, 2 cores, load before the start 0.2; torch 2." in text
    assert "not measured" in text
    for line in lines:
        if line.startswith("|"):
            assert line.count("|") in (7, 8)


def test_a_turn_of_both_loops(mnist_folder: Path) -> None:
    recipes = {model: comparison.recipes()[model] for model in ("model_3", "model_5")}
    turn = comparison.take_turn(recipes, batches=2, jobs=2, raw=mnist_folder)
    for pair in turn.values():
        for loop in (pair["textbook"], pair["project"]):
            assert set(loop) == set(get_type_hints(Measurement))
            assert all(value > 0 for value in loop.values() if isinstance(value, int | float))
        assert pair["project"]["threads"] == 1


def test_what_goes_wrong_in_a_process_is_named() -> None:
    with pytest.raises(UserError, match=r"stages.train model_3 failed: .*required: --seed"):
        processes.run("stages.train", ["model_3"])


def test_repro_is_timed_only_when_nothing_changed(tmp_path: Path) -> None:
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
def test_everything_in_small(mnist_folder: Path, tmp_path: Path) -> None:
    results = bench.measure(
        ["model_3"], tmp_path, mnist_folder, turns=1, batches=2, train_images=RECIPE.batch_size
    )
    assert set(results) == set(get_type_hints(tables.Results))
    for points in ("by_epochs", "by_samples", "by_models", "by_jobs"):
        assert len(results["growth"][points]) == 3
    assert results["growth"]["by_models"][2] > 2 * results["growth"]["by_models"][0]
    text = tables.markdown(results)
    assert "| Model 3 |" in text
    assert str(mnist_folder) not in json.dumps(results)


# Experiments on a cluster


def test_the_study_that_computes_nothing_has_the_pipeline_s_stages(tmp_path: Path) -> None:
    study = cluster.project(tmp_path / "study", [1, 2], {"epochs": 3}, stand_in=True)
    commands = re.findall("cmd: (.*)", (study / "dvc.yaml").read_text("utf-8"))
    assert sum(command.startswith("python stand_in.py ") for command in commands) == 4
    assert "\n  epochs: 3\n" in (study / "params.yaml").read_text("utf-8")
    assert cluster.call(study, "git", "status", "--porcelain") == ""


def test_taking_in_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LEDGERS", (2, 3))
    taken = cluster.records(tmp_path / "study")
    assert list(taken) == ["2", "3"]
    assert {key for times in taken.values() for key in times} == {
        "first_look_seconds",
        "fetch_seconds",
        "look_seconds",
    }
    ledger = (tmp_path / "study/study/metrics/experiments.csv").read_text("utf-8")
    assert len(ledger.splitlines()) == 1 + 4


def spent(fetch: float) -> dict[str, Any]:
    """What a cluster has taken, with so many seconds to fetch one beside 10,000 experiments."""
    look = {"first_look_seconds": 0.1, "look_seconds": 0.1}
    return {
        "machine": {"processor": "some", "cores": 2, "load": 0, "load_after": 0, "versions": {}},
        "study": {
            "experiments": 4,
            "epochs": 3,
            "queue_seconds": 90,
            "cluster_seconds": 80,
            "same_ledger": True,
        },
        "sizes": {"raw": 55e6, "commit": 4e6, "experiment": 200_000},
        "overhead": {"each": 3, "seconds": {"1": 30}},
        "driver": {
            "experiments": 10_000,
            "seconds": 100,
            "memory_mib": {"connected": 100, "most": 300},
        },
        "records": {
            "10": look | {"fetch_seconds": 0.0},
            "1000": look | {"fetch_seconds": 0.0},
            "10000": look | {"fetch_seconds": fetch},
        },
    }


def test_what_an_experiment_costs() -> None:
    costs = scaling.Costs(spent(fetch=0.9))
    # Without stages, 30 seconds for 3; with them, 2 nodes for 80 seconds for 4.
    assert (costs.around, costs.core_seconds) == (10, 40)
    assert costs.hours(1_000, 2) == pytest.approx(40 * 500 / 3600)
    # A ten thousandth of a second more for each one more, from 1,000 on.
    assert [costs.seconds("fetch_seconds", count) for count in (1_000, 100_000)] == [
        0,
        pytest.approx(9.9),
    ]


@pytest.mark.parametrize(
    ("fetch", "words"),
    [(0.09, "the driver."), (0.02, "patience, and beyond 182 cores the driver.")],
)
def test_what_breaks_first_depends_on_what_was_measured(fetch: float, words: str) -> None:
    text = scaling.markdown(spent(fetch))
    assert f"**100,000 experiments**: {words}" in text
    # 100 MiB, and a fiftieth of one for each: 2,100.
    assert "so about 2.1 GiB with 100,000" in text
