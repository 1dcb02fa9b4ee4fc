"""The textbook's loop and this project's, turn by turn."""

import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal, TypedDict, get_args

import yaml

from benchmarks.processes import ROOT, Measurement, measure
from study.recipes import params_file
from study.recipes.recipe import TRAINING_IMAGES, Recipe


class Pair(TypedDict):
    """One model in one turn: the textbook alone, then so many copies of this project at once."""

    textbook: Measurement
    project: Measurement


Turn = Mapping[str, Pair]
"""By model."""

Loop = Literal["textbook", "project"]
LOOPS: tuple[Loop, ...] = get_args(Loop)


class Spread(TypedDict):
    """One figure over the turns."""

    median: float
    least: float
    most: float


class Cost(TypedDict):
    """Medians over the turns."""

    start_up_seconds: float
    """Of wall time, once per training run."""
    epoch_seconds: float
    """Of wall time, one test pass included."""
    peak_memory_mib: int
    """Of all processes together."""


class Model(TypedDict):
    """What one model costs."""

    epochs: int
    batches_per_epoch: int
    textbook: Cost
    project: Cost
    """Of as many models as are trained at once."""
    project_share_seconds: float
    """Wall time of an epoch over how many models are trained in it."""
    speedup: Spread
    """The textbook's seconds over this project's share."""


class Study(TypedDict):
    """Wall time of all training, start-up included, from each model's medians."""

    textbook_seconds: float
    project_seconds: float
    speedup: Spread


class Comparison(TypedDict):
    """What was measured, and what follows from it."""

    batches: int
    """How many of an epoch's were measured."""
    jobs: int
    """How many models this project trains at once."""
    models: dict[str, Model]
    study: Study
    turns: list[Turn]


def recipes() -> dict[str, Recipe]:
    """Every model's recipe on a CPU, as dvc.yaml puts it together from params.yaml."""
    values = params_file.read_values((ROOT / "params.yaml").read_text("utf-8"))
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    models = pipeline["stages"]["train"]["foreach"]
    return {
        model: Recipe.parse(
            {
                key: re.sub(r"\$\{([\w.]+)\}", lambda name: values[name[1]], str(value))
                for key, value in recipe.items()
            }
            | {"device": "cpu"}
        )
        for model, recipe in models.items()
    }


def order() -> list[str]:
    """The models in the order in which `make repro` trains them."""
    command = ["make", "--dry-run", "training"]
    plan = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"train@(\w+)", plan)


def take_turn(recipes: Mapping[str, Recipe], batches: int, jobs: int, raw: Path) -> Turn:
    """Measure both loops on each model, one right after the other.

    As after `git clone`, the first model compiles this project's kernels, for the others, too.
    """
    turn: dict[str, Pair] = {}
    with TemporaryDirectory() as kernels:
        for model, recipe in recipes.items():
            arguments = [model, str(raw.resolve()), str(batches), recipe.model_dump_json()]
            turn[model] = {
                "textbook": measure("benchmarks.textbook", arguments, 1, Path(kernels)),
                "project": measure("benchmarks.project", arguments, jobs, Path(kernels)),
            }
    return turn


def compare(
    turns: Sequence[Turn], recipes: Mapping[str, Recipe], batches: int, jobs: int
) -> Comparison:
    """Work out what the measurements say. `recipes` are in the order of training."""
    batches_per_epoch = {
        model: math.ceil(TRAINING_IMAGES / recipe.batch_size) for model, recipe in recipes.items()
    }
    scales = {model: count / batches for model, count in batches_per_epoch.items()}

    models: dict[str, Model] = {}
    for model in sorted(recipes):
        textbook = [turn[model]["textbook"] for turn in turns]
        project = [turn[model]["project"] for turn in turns]
        scale = scales[model]
        shares = [epoch_seconds(one, scale) / jobs for one in project]
        models[model] = {
            "epochs": recipes[model].epochs,
            "batches_per_epoch": batches_per_epoch[model],
            "textbook": cost(textbook, scale),
            "project": cost(project, scale),
            "project_share_seconds": round(median(shares), 3),
            "speedup": spread(
                epoch_seconds(one, scale) / share
                for one, share in zip(textbook, shares, strict=True)
            ),
        }

    def study(turns: Sequence[Turn]) -> tuple[float, float]:
        """Wall time of the textbook's and of this project's whole study, from the medians."""
        theirs, ours = (
            [
                one["start_up_seconds"] + recipe.epochs * one["epoch_seconds"]
                for model, recipe in recipes.items()
                for one in [cost([turn[model][loop] for turn in turns], scales[model])]
            ]
            for loop in LOOPS
        )
        return sum(theirs), makespan(ours, jobs)

    # Medians of each model: what disturbs one of them in one turn does not count.
    theirs, ours = study(turns)
    speedups = sorted(theirs / ours for theirs, ours in (study([turn]) for turn in turns))
    return {
        "batches": batches,
        "jobs": jobs,
        "models": models,
        "study": {
            "textbook_seconds": round(theirs, 1),
            "project_seconds": round(ours, 1),
            "speedup": {
                "median": round(theirs / ours, 2),
                "least": round(speedups[0], 2),
                "most": round(speedups[-1], 2),
            },
        },
        "turns": [*turns],
    }


def epoch_seconds(measured: Measurement, scale: float) -> float:
    """Wall time of an epoch: training on `scale` times what was measured, and one test pass."""
    return measured["training_seconds"] * scale + measured["testing_seconds"]


def makespan(runs: Iterable[float], at_once: int) -> float:
    """Wall time of runs that start in order, each as soon as fewer than `at_once` others run."""
    ends = [0.0] * at_once
    for seconds in runs:
        heappush(ends, heappop(ends) + seconds)
    return max(ends)


def cost(measured: Sequence[Measurement], scale: float) -> Cost:
    """Take medians over the turns."""
    return {
        "start_up_seconds": round(median(one["start_up_seconds"] for one in measured), 3),
        "epoch_seconds": round(median(epoch_seconds(one, scale) for one in measured), 3),
        "peak_memory_mib": round(median(one["peak_memory_mib"] for one in measured)),
    }


def spread(values: Iterable[float]) -> Spread:
    """Take the median, the least and the most."""
    ordered = sorted(values)
    return {
        "median": round(median(ordered), 2),
        "least": round(ordered[0], 2),
        "most": round(ordered[-1], 2),
    }
