"""What the pipeline's own commands take: a training stage as it grows, `dvc repro` at rest."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypedDict

from benchmarks.processes import ROOT, run
from study.recipes.recipe import Recipe

FACTORS = (1, 2, 4)
MODEL = "model_3"  # the smallest


class Growth(TypedDict):
    """Seconds of wall time of `python -m stages.train`, each list at 1, 2 and 4 times the cost."""

    samples: int
    """How many images one unit of samples is; a unit of the rest is one."""
    by_epochs: list[float]
    by_samples: list[float]
    by_models: list[float]
    """One after the other."""
    by_jobs: list[float]
    """At the same time."""


def grow(recipe: Recipe, raw: Path) -> Growth:
    """Measure the stage on `recipe`, then on 2 and 4 times of each of its dimensions."""

    def stage(epochs: int = 1, samples: int = 1, models: int = 1, jobs: int = 1) -> float:
        values = recipe.model_dump() | {
            "epochs": epochs * recipe.epochs,
            "train_images": samples * recipe.train_images,
        }
        arguments = [MODEL, *(f"--{key}={value}" for key, value in values.items())]
        return round(sum(train(arguments, jobs) for _ in range(models)), 3)

    def train(arguments: list[str], jobs: int) -> float:
        return run("stages.train", arguments, jobs, folder, PYTHONPATH=str(ROOT))[0]

    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "data" / "mnist").symlink_to(raw.resolve())
        return {
            "samples": recipe.train_images,
            "by_epochs": [stage(epochs=factor) for factor in FACTORS],
            "by_samples": [stage(samples=factor) for factor in FACTORS],
            "by_models": [stage(models=factor) for factor in FACTORS],
            "by_jobs": [stage(jobs=factor) for factor in FACTORS],
        }


def no_change_seconds(repository: Path) -> float | None:
    """Wall time of `dvc repro` with nothing to do, the median of three; None if there is any."""
    dvc = [sys.executable, "-m", "dvc"]
    if subprocess.run([*dvc, "status", "--quiet"], cwd=repository).returncode:
        return None
    times = []
    for _ in range(3):
        start = perf_counter()
        subprocess.run([*dvc, "repro", "--quiet"], cwd=repository, check=True)
        times.append(perf_counter() - start)
    return round(median(times), 3)
