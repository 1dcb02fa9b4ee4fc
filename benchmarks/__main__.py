"""Benchmark training against a plain PyTorch loop, and write docs/performance.md."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tqdm import trange

from benchmarks import comparison, performance_page, pipeline
from benchmarks.performance_page import Machine, Results
from benchmarks.processes import ROOT
from study.base.errors import UserError
from study.base.files import write

RAW = ROOT / "data/mnist"
PAGE = ROOT / "docs/performance.md"


def main() -> None:
    """Measure everything, in about 20 minutes on two idle cores."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--page-only",
        action="store_true",
        help="write the page from results.json without measuring",
    )
    if not parser.parse_args().page_only:
        check_raw_data()
        results = measure(comparison.order(), ROOT, RAW, turns=3, batches=60, train_images=6_000)
        write(performance_page.RESULTS, json.dumps(results, indent=2) + "\n")
    write(PAGE, performance_page.markdown(performance_page.read()))
    print(f"wrote {PAGE.relative_to(ROOT)}")


def check_raw_data() -> None:
    """Raise UserError if MNIST has not been fetched."""
    if not RAW.exists():
        raise UserError("data/mnist does not exist; run `dvc repro download`")


def measure(
    models: Sequence[str],
    repository: Path,
    raw: Path,
    *,
    turns: int,
    batches: int,
    train_images: int,
) -> Results:
    """Measure `models`, given in the order of training.

    A turn trains each on `batches` batches; `train_images` is the unit of images in the growth
    table.
    """
    recipes = comparison.recipes()
    trained = {model: recipes[model] for model in models}
    cores = os.cpu_count() or 1
    here = machine(cores)
    jobs = min(cores, len(models))
    small = recipes[pipeline.MODEL].model_copy(update={"epochs": 1, "train_images": train_images})

    measured = [
        comparison.take_turn(trained, batches, jobs, raw)
        for _ in trange(turns, desc="turns", disable=None)
    ]
    return {
        "machine": here,
        "comparison": comparison.compare(measured, trained, batches, jobs),
        "growth": pipeline.grow(small, raw),
        "no_change_seconds": pipeline.no_change_seconds(repository),
    }


def machine(cores: int) -> Machine:
    """Return what this machine is, and how busy it is."""
    return {
        "processor": processor(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "versions": {"Python": platform.python_version()}
        | {package: version(package) for package in ("torch", "torchvision", "numba")},
    }


def processor() -> str:
    """Return the processor's model, or its architecture if the system does not name the model."""
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
