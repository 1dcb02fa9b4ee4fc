"""Measure, write results.json beside this file, and print the tables."""

import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tqdm import trange

from benchmarks import comparison, pipeline, tables
from benchmarks.processes import ROOT
from study.base.errors import UserError
from study.base.files import write

RAW = ROOT / "data/mnist"
RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Measure everything; about 10 minutes on two cores, with nothing else to do."""
    if not RAW.exists():
        raise UserError("data/mnist: no such folder; run `dvc repro download` to fetch it")
    results = measure(comparison.order(), ROOT, RAW, turns=3, batches=60, samples=6_000)
    write(RESULTS, json.dumps(results, indent=2) + "\n")
    print(tables.markdown(results), end="")


def measure(
    models: Sequence[str], repository: Path, raw: Path, *, turns: int, batches: int, samples: int
) -> tables.Results:
    """Measure `models`, in the order of training, over so many batches in each turn.

    `samples` is one unit of samples in the table of growth.
    """
    recipes = comparison.recipes()
    trained = {model: recipes[model] for model in models}
    cores = os.cpu_count() or 1
    here = machine(cores)
    jobs = min(cores, len(models))
    small = recipes[pipeline.MODEL].model_copy(update={"epochs": 1, "train_images": samples})

    compared = [
        comparison.take_turn(trained, batches, jobs, raw)
        for _ in trange(turns, desc="turns", disable=None)
    ]
    return {
        "machine": here,
        "comparison": comparison.compare(compared, trained, batches, jobs),
        "growth": pipeline.grow(small, raw),
        "no_change_seconds": pipeline.no_change_seconds(repository),
    }


def machine(cores: int) -> tables.Machine:
    """What this machine is, and how busy."""
    return {
        "processor": processor(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "versions": {"Python": platform.python_version()}
        | {package: version(package) for package in ("torch", "torchvision", "numba")},
    }


def processor() -> str:
    """The processor's model where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
