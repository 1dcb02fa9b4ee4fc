"""Measure what each of the engine's optimizations is worth, for docs/engine.md."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

from benchmarks import comparison, pages, steps
from benchmarks.__main__ import machine
from benchmarks.performance_page import Machine
from benchmarks.processes import ROOT
from benchmarks.step_without import WITHOUT
from study.base.errors import UserError
from study.base.files import read_text, write
from study.recipes.recipe import Recipe

RESULTS = Path(__file__).parent / "optimizations.json"
PAGE = ROOT / "docs/engine.md"
TEMPLATE = Path(__file__).parent / "optimizations.md.j2"
MODELS = ("model_1", "model_2", "model_3", "model_4", "model_5")
ENGINE = "engine"
"""Name of the measurement of the unchanged engine."""


class Optimizations(TypedDict):
    """The contents of optimizations.json."""

    machine: Machine
    steps: int
    """Number of steps in each measurement."""
    repetitions: int
    """Number of measurements, of which the median counts."""
    milliseconds: dict[str, dict[str, float]]
    """CPU time of a step, by model and by the optimization that is missing."""


def main() -> None:
    """Measure Models 1 to 5, in about 4 minutes of CPU time. The machine should be idle."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizations", description=__doc__)
    parser.add_argument(
        "--page-only",
        action="store_true",
        help="write the page from optimizations.json, measure nothing",
    )
    if not parser.parse_args().page_only:
        recipes = comparison.recipes()
        results = measure({model: recipes[model] for model in MODELS}, 5, 9)
        write(RESULTS, json.dumps(results, indent=2) + "\n")
    write(PAGE, page(read_text(PAGE), json.loads(read_text(RESULTS))))
    print(f"wrote {PAGE.relative_to(ROOT)}")


def measure(recipes: Mapping[str, Recipe], n_steps: int, repetitions: int) -> Optimizations:
    """Measure the engine, and the engine without each optimization, in turns."""
    here = machine(os.cpu_count() or 1)
    with ExitStack() as stack:
        start, module = stack.enter_context, "benchmarks.step_without"
        processes = {ENGINE: start(steps.process(module))} | {
            name: start(steps.process(module, name)) for name in WITHOUT
        }
        milliseconds = steps.take_turns(processes, recipes, n_steps, repetitions)
    return {
        "machine": here,
        "steps": n_steps,
        "repetitions": repetitions,
        "milliseconds": milliseconds,
    }


def page(text: str, results: Optimizations) -> str:
    """Return the page with its table replaced."""
    return pages.insert(text, "benchmarks.optimizations", table(results))


def table(results: Optimizations) -> str:
    """Return the table and the sentences about it."""
    costs = {
        name: [
            100 * (times[name] / times[ENGINE] - 1) for times in results["milliseconds"].values()
        ]
        for name in WITHOUT
    }
    versions = ", ".join(f"{name} {v}" for name, v in results["machine"]["versions"].items())
    return pages.render(TEMPLATE, **results, costs=costs, shown_versions=versions)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
