"""Wall time of the pipeline's commands: larger trainings, and `dvc repro` with nothing to do."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypedDict

from benchmarks.processes import ROOT, run
from study.base.files import write
from study.recipes import recipe_file
from study.recipes.recipe import Recipe

FACTORS = (1, 2, 4)
MODEL = "model_3"  # the smallest


class Growth(TypedDict):
    """Seconds of wall time of `python -m stages.train`; each list at 1, 2 and 4 times the size."""

    train_images: int
    """Number of images in one unit of images; a unit of the other sizes is 1."""
    by_epochs: list[float]
    by_images: list[float]
    by_models: list[float]
    """One after the other."""
    by_jobs: list[float]
    """At the same time."""


def grow(recipe: Recipe, raw: Path) -> Growth:
    """Measure the stage on `recipe`, then at 2 and 4 times each of its sizes."""

    def stage(epochs: int = 1, images: int = 1, models: int = 1, jobs: int = 1) -> float:
        larger = recipe.model_copy(
            update={
                "epochs": epochs * recipe.epochs,
                "train_images": images * recipe.train_images,
            }
        )
        text = recipe_file.to_yaml(larger, recipe_file.versions())
        write(folder / f"recipes/{MODEL}.yaml", text)
        return round(sum(train(jobs) for _ in range(models)), 3)

    def train(jobs: int) -> float:
        return run("stages.train", [MODEL], jobs, folder, PYTHONPATH=str(ROOT))[0]

    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "data" / "mnist").symlink_to(raw.resolve())
        stage()  # compiles the kernels, if they are not cached
        return {
            "train_images": recipe.train_images,
            "by_epochs": [stage(epochs=factor) for factor in FACTORS],
            "by_images": [stage(images=factor) for factor in FACTORS],
            "by_models": [stage(models=factor) for factor in FACTORS],
            "by_jobs": [stage(jobs=factor) for factor in FACTORS],
        }


def no_change_seconds(repository: Path) -> float | None:
    """Return the wall time of `dvc repro` with nothing to do, the median of three.

    Returns None if there is something to do.
    """
    dvc = [sys.executable, "-m", "dvc"]
    if subprocess.run([*dvc, "status", "--quiet"], cwd=repository).returncode:
        return None
    times = []
    for _ in range(3):
        start = perf_counter()
        subprocess.run([*dvc, "repro", "--quiet"], cwd=repository, check=True)
        times.append(perf_counter() - start)
    return round(median(times), 3)
