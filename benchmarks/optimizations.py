"""Measure what each of the engine's optimizations is worth, for docs/engine.md."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TypedDict

from benchmarks import comparison
from benchmarks.machine import Machine, cpu_time_measured_on, this_machine
from benchmarks.processes import ROOT
from benchmarks.step_without import WITHOUT
from benchmarks.steps import process
from benchmarks.steps import take_turns as steps_in_turns
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.recipes.recipe import Recipe
from study.reporting import templates
from study.reporting.formats import title

RESULTS = Path(__file__).parent / "optimizations.json"
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
    """Number of measurements in a process, of which the median counts."""
    processes: int
    """Number of processes one after the other, of which the median counts."""
    milliseconds: dict[str, dict[str, float]]
    """CPU time of a step, by model and by the optimization that is missing."""


def main() -> None:
    """Measure Models 1 to 5, in about 6 minutes of CPU time. The machine should be idle."""
    no_arguments()
    recipes = comparison.recipes()
    measured = {model: recipes[model] for model in MODELS}
    results = measure(measured, steps=5, repetitions=3, processes=5)
    write(RESULTS, json.dumps(results, indent=2) + "\n")
    print(f"wrote {RESULTS.relative_to(ROOT)}; `make readme` writes its table into docs/engine.md")


def measure(
    recipes: Mapping[str, Recipe], *, steps: int, repetitions: int, processes: int
) -> Optimizations:
    """Measure the engine, and the engine without each optimization, in turns.

    Where the system puts a process into memory changes its speed, so there are several.
    """
    here = this_machine()
    rounds = [take_turns(recipes, steps, repetitions) for _ in range(processes)]
    return {
        "machine": here,
        "steps": steps,
        "repetitions": repetitions,
        "processes": processes,
        "milliseconds": {
            model: {
                name: median(each[model][name] for each in rounds) for name in (ENGINE, *WITHOUT)
            }
            for model in recipes
        },
    }


def take_turns(
    recipes: Mapping[str, Recipe], steps: int, repetitions: int
) -> dict[str, dict[str, float]]:
    """Return the CPU time of a step by model and missing optimization, each in a new process."""
    with ExitStack() as stack:
        start, module = stack.enter_context, "benchmarks.step_without"
        started = {ENGINE: start(process(module))} | {
            name: start(process(module, name)) for name in WITHOUT
        }
        return steps_in_turns(started, recipes, steps, repetitions)


def read() -> Optimizations:
    """Return the last results."""
    results: Optimizations = json.loads(read_text(RESULTS))
    return results


def table(results: Optimizations) -> str:
    """Return the table and the sentences about it."""
    costs = {
        name: [
            100 * (times[name] / times[ENGINE] - 1) for times in results["milliseconds"].values()
        ]
        for name in WITHOUT
    }
    values = {**results, "costs": costs}
    return templates.render(TEMPLATE, values, (title, cpu_time_measured_on), autoescape=False)


if __name__ == "__main__":
    run(main)
