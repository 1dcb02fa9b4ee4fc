"""Benchmark training against a plain PyTorch loop, for docs/performance.md."""

import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import trange

from benchmarks import comparison, performance_page, pipeline
from benchmarks.machine import RAW, check_raw_data, this_machine
from benchmarks.performance_page import Results
from benchmarks.processes import ROOT
from stages.command import no_arguments, run
from study.base import resources
from study.base.files import write


def main() -> None:
    """Measure everything, in about 20 minutes on two idle cores."""
    no_arguments()
    check_raw_data()
    results = measure(comparison.order(), ROOT, RAW, turns=3, batches=60, train_images=6_000)
    write(performance_page.RESULTS, json.dumps(results, indent=2) + "\n")
    results_file = performance_page.RESULTS.relative_to(ROOT)
    print(f"wrote {results_file}; `make readme` writes docs/performance.md")


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
    here = this_machine()
    jobs = min(resources.jobs(), len(models))  # as many as `make repro` starts
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


if __name__ == "__main__":
    run(main)
