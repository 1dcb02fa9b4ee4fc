"""A plain PyTorch loop (the baseline) against this project's loop, in turns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal, TypedDict, get_args

import models
from benchmarks.processes import ROOT, Measurement, measure
from study.base.files import read_text
from study.recipes import params_file
from study.recipes.recipe import TRAINING_IMAGES, Recipe


class Pair(TypedDict):
    """One model in one turn: one process of the baseline, then `jobs` of this project at once."""

    baseline: Measurement
    project: Measurement


Turn = Mapping[str, Pair]
"""By model."""

Loop = Literal["baseline", "project"]
LOOPS: tuple[Loop, ...] = get_args(Loop)


class Spread(TypedDict):
    """One value over the turns."""

    median: float
    least: float
    most: float


class Cost(TypedDict):
    """Medians over the turns."""

    start_up_seconds: float
    """Wall time per training run, in addition to its epochs."""
    epoch_seconds: float
    """Wall time, one test pass included."""
    peak_memory_mib: int
    """Of all processes together."""


class ModelComparison(TypedDict):
    """The cost of one model."""

    epochs: int
    batches_per_epoch: int
    baseline: Cost
    project: Cost
    """Cost of `jobs` models that are trained at once."""
    project_share_seconds: float
    """Wall time of an epoch divided by the number of models trained in it."""
    speedup: Spread
    """The baseline's seconds divided by this project's share."""


class StudyComparison(TypedDict):
    """Wall time of all trainings, start-up included, computed from each model's medians."""

    baseline_seconds: float
    project_seconds: float
    speedup: float
    speedup_by_turn: list[float]
    """Computed from one turn each: a disturbance of any model counts."""


class Comparison(TypedDict):
    """The measurements, and the results computed from them."""

    batches: int
    """Number of an epoch's batches that were measured."""
    jobs: int
    """Number of models that this project trains at once."""
    models: dict[str, ModelComparison]
    study: StudyComparison
    turns: list[Turn]


def recipes() -> dict[str, Recipe]:
    """Return the recipe of each model in params.yaml, on a CPU."""
    params = params_file.read(read_text(ROOT / "params.yaml"), models.names())
    return {
        model: recipe.model_copy(update={"device": "cpu"})
        for model, recipe in params.models.items()
    }


def order() -> list[str]:
    """Return the models in the order in which `make repro` trains them."""
    return sorted(recipes(), reverse=True)


def take_turn(recipes: Mapping[str, Recipe], batches: int, jobs: int, raw: Path) -> Turn:
    """Measure both loops on each model, one right after the other.

    As in a fresh clone, this project's first model compiles the kernels, and the others reuse them.
    """
    turn: dict[str, Pair] = {}
    with TemporaryDirectory() as kernels:
        for model, recipe in recipes.items():
            arguments = [model, str(raw.resolve()), str(batches), recipe.model_dump_json()]
            turn[model] = {
                "baseline": measure("benchmarks.baseline_loop", arguments, 1, Path(kernels)),
                "project": measure("benchmarks.project_loop", arguments, jobs, Path(kernels)),
            }
    return turn


def compare(
    turns: Sequence[Turn], recipes: Mapping[str, Recipe], batches: int, jobs: int
) -> Comparison:
    """Return the results of the measurements. `recipes` are in the order of training."""
    batches_per_epoch = {
        model: math.ceil(TRAINING_IMAGES / recipe.batch_size) for model, recipe in recipes.items()
    }
    scales = {model: count / batches for model, count in batches_per_epoch.items()}

    compared: dict[str, ModelComparison] = {}
    for model in sorted(recipes):
        baseline = [turn[model]["baseline"] for turn in turns]
        project = [turn[model]["project"] for turn in turns]
        scale = scales[model]
        shares = [epoch_seconds(one, scale) / jobs for one in project]
        compared[model] = {
            "epochs": recipes[model].epochs,
            "batches_per_epoch": batches_per_epoch[model],
            "baseline": cost(baseline, scale),
            "project": cost(project, scale),
            "project_share_seconds": round(median(shares), 3),
            "speedup": spread(
                epoch_seconds(one, scale) / share
                for one, share in zip(baseline, shares, strict=True)
            ),
        }

    def study(turns: Sequence[Turn]) -> tuple[float, float]:
        """Return the wall time of the baseline's and this project's study, from the medians."""
        baseline, project = (
            [
                one["start_up_seconds"] + recipe.epochs * one["epoch_seconds"]
                for model, recipe in recipes.items()
                for one in [cost([turn[model][loop] for turn in turns], scales[model])]
            ]
            for loop in LOOPS
        )
        return sum(baseline), makespan(project, jobs)

    # From each model's medians: a disturbance of one model in one turn does not count.
    baseline_seconds, project_seconds = study(turns)
    by_turn = [before / after for before, after in (study([turn]) for turn in turns)]
    return {
        "batches": batches,
        "jobs": jobs,
        "models": compared,
        "study": {
            "baseline_seconds": round(baseline_seconds, 1),
            "project_seconds": round(project_seconds, 1),
            "speedup": round(baseline_seconds / project_seconds, 2),
            "speedup_by_turn": [round(each, 2) for each in by_turn],
        },
        "turns": [*turns],
    }


def epoch_seconds(measured: Measurement, scale: float) -> float:
    """Return the wall time of an epoch: training, times `scale`, and one test pass."""
    return measured["training_seconds"] * scale + measured["testing_seconds"]


def makespan(runs: Iterable[float], at_once: int) -> float:
    """Return the wall time of runs that start in order, at most `at_once` at the same time."""
    ends = [0.0] * at_once
    for seconds in runs:
        heappush(ends, heappop(ends) + seconds)
    return max(ends)


def cost(measured: Sequence[Measurement], scale: float) -> Cost:
    """Return the medians over the turns."""
    return {
        "start_up_seconds": round(median(one["start_up_seconds"] for one in measured), 3),
        "epoch_seconds": round(median(epoch_seconds(one, scale) for one in measured), 3),
        "peak_memory_mib": round(median(one["peak_memory_mib"] for one in measured)),
    }


def spread(values: Iterable[float]) -> Spread:
    """Return the median, the least and the most."""
    ordered = sorted(values)
    return {
        "median": round(median(ordered), 2),
        "least": round(ordered[0], 2),
        "most": round(ordered[-1], 2),
    }
