"""Measured processes: how they are started, and what they say on stdout."""

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

ROOT = Path(__file__).parent.parent
WARM_UP = 2  # batches that count as start-up: they compile kernels and fill caches


class Measurement(TypedDict):
    """What it took to train a few batches and to test once, in seconds of wall time."""

    start_up_seconds: float
    """Everything else in the process's life: imports, compilation, reading data, first batches."""
    training_seconds: float
    testing_seconds: float
    peak_memory_mib: int
    """Resident, of all processes together."""
    threads: int
    """Of each process."""


def report(
    train: Callable[[int], object], test: Callable[[], object], batches: int, threads: int
) -> None:
    """Train on so many batches, test, and print what that took, all but the start-up."""
    train(WARM_UP)
    start = perf_counter()
    train(batches)
    trained = perf_counter()
    test()
    tested = perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {
        "training_seconds": trained - start,
        "testing_seconds": tested - trained,
        "peak_memory_mib": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "threads": threads,
    }
    print(json.dumps(said))


def measure(module: str, arguments: Sequence[str], copies: int, kernels: Path) -> Measurement:
    """Run so many copies of a module that calls `report`, all at once; the slowest one counts.

    What they compile they leave in the folder `kernels`, and find what is there.
    """
    seconds, outputs = run(module, arguments, copies, NUMBA_CACHE_DIR=str(kernels))
    said = [json.loads(output) for output in outputs]
    slowest = max(said, key=lambda one: one["training_seconds"] + one["testing_seconds"])
    training, testing = slowest["training_seconds"], slowest["testing_seconds"]
    return {
        "start_up_seconds": round(seconds - training - testing, 3),
        "training_seconds": round(training, 3),
        "testing_seconds": round(testing, 3),
        "peak_memory_mib": round(sum(one["peak_memory_mib"] for one in said)),
        "threads": slowest["threads"],
    }


def run(
    module: str, arguments: Sequence[str], copies: int = 1, folder: Path = ROOT, **variables: str
) -> tuple[float, list[str]]:
    """Run so many copies of a module at once; return seconds until all have ended, and stdouts.

    Raises UserError with the last line of stderr when one fails.
    """
    # All cores, whatever the shell says; `stages` decides for its own processes.
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
