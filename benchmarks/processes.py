"""Processes that are measured: starting them, and the measurements that they print."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TypedDict

from study.base.errors import UserError
from study.recipes.recipe import Recipe

ROOT = Path(__file__).parent.parent
WARM_UP = 2  # batches that count as start-up: they compile kernels and fill caches


class Measurement(TypedDict):
    """Cost of training a few batches and testing once; seconds are wall time."""

    start_up_seconds: float
    """The rest of the process's time: imports, compilation, reading data, first batches."""
    training_seconds: float
    testing_seconds: float
    peak_memory_mib: int
    """Resident, of all processes together."""
    threads: int
    """Of each process."""


def arguments() -> tuple[str, Path, int, Recipe]:
    """Return the command line of a module that calls `report`.

    The model, the folder of raw files, the number of batches and the recipe.
    """
    model, raw, batches, recipe = sys.argv[1:]
    return model, Path(raw), int(batches), Recipe.model_validate_json(recipe)


def report(
    train: Callable[[int], object], test: Callable[[], object], batches: int, threads: int
) -> None:
    """Train on `batches` batches, test, and print the measurement, except for the start-up."""
    train(WARM_UP)
    start = perf_counter()
    train(batches)
    trained = perf_counter()
    test()
    tested = perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measurement = {
        "training_seconds": trained - start,
        "testing_seconds": tested - trained,
        "peak_memory_mib": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "threads": threads,
    }
    print(json.dumps(measurement))


def measure(module: str, arguments: Sequence[str], copies: int, kernels: Path) -> Measurement:
    """Run `copies` copies of a module that calls `report` at once; the slowest one counts.

    They keep compiled kernels in the folder `kernels`, and reuse those that are there.
    """
    seconds, outputs = run(module, arguments, copies, NUMBA_CACHE_DIR=str(kernels))
    measurements = [json.loads(output) for output in outputs]
    slowest = max(measurements, key=lambda one: one["training_seconds"] + one["testing_seconds"])
    training, testing = slowest["training_seconds"], slowest["testing_seconds"]
    return {
        "start_up_seconds": round(seconds - training - testing, 3),
        "training_seconds": round(training, 3),
        "testing_seconds": round(testing, 3),
        "peak_memory_mib": round(sum(one["peak_memory_mib"] for one in measurements)),
        "threads": slowest["threads"],
    }


def run(
    module: str, arguments: Sequence[str], copies: int = 1, folder: Path = ROOT, **variables: str
) -> tuple[float, list[str]]:
    """Run copies of a module at once; return the seconds until all have ended, and their stdouts.

    Raises UserError with the last line of stderr if one fails.
    """
    # All cores, whatever the shell has set.
    inherited = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    start = perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=inherited | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(copies)
    ]
    outputs = [process.communicate() for process in started]
    seconds = perf_counter() - start
    for process, (_, errors) in zip(started, outputs, strict=True):
        if process.returncode:
            reason = errors.strip().rpartition("\n")[2] or f"status {process.returncode}"
            raise UserError(f"python -m {module} {arguments[0]} failed: {reason}")
    return seconds, [output for output, _ in outputs]
