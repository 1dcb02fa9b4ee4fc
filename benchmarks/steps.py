"""Measure the CPU time of a training step, for docs/engine.md."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TypedDict

from tqdm import tqdm

import models
from benchmarks import arithmetic, comparison
from benchmarks.machine import Machine, cpu_time_measured_on, this_machine
from benchmarks.processes import ROOT
from stages.command import no_arguments, run
from study.base.errors import UserError
from study.base.files import read_text, write
from study.recipes.recipe import Recipe
from study.reporting import templates
from study.reporting.formats import title

RESULTS = Path(__file__).parent / "steps.json"
TEMPLATE = Path(__file__).parent / "steps.md.j2"

LOOPS = {
    "plain": "benchmarks.baseline_step",
    "engine": "benchmarks.project_step",
}
"""Module of the process that takes each loop's steps."""


class Steps(TypedDict):
    """The contents of steps.json."""

    machine: Machine
    steps: int
    """Number of steps in each measurement."""
    repetitions: int
    """Number of measurements, of which the median counts."""
    peak: float
    """Operations per second of one core that does nothing but fused multiply-adds, in billions."""
    batch_sizes: dict[str, int]
    """Images in a step, by model."""
    operations: dict[str, int]
    """Additions and multiplications of a step, by model."""
    milliseconds: dict[str, dict[str, float]]
    """CPU time of a step, by model and loop."""


def main() -> None:
    """Measure all models, in about 90 seconds of CPU time."""
    no_arguments()
    write(RESULTS, json.dumps(measure(comparison.recipes(), 5, 5), indent=2) + "\n")
    print(f"wrote {RESULTS.relative_to(ROOT)}; `make readme` writes its table into docs/engine.md")


def measure(recipes: Mapping[str, Recipe], steps: int, repetitions: int) -> Steps:
    """Measure the loops in turns, on one batch of random images for each model."""
    here = this_machine()
    with ExitStack() as stack:
        processes = {loop: stack.enter_context(process(module)) for loop, module in LOOPS.items()}
        milliseconds = take_turns(processes, recipes, steps, repetitions)
    return {
        "machine": here,
        "steps": steps,
        "repetitions": repetitions,
        "peak": round(arithmetic.peak() / 1e9, 1),
        "batch_sizes": {model: recipe.batch_size for model, recipe in recipes.items()},
        "operations": {
            model: recipe.batch_size * arithmetic.operations(models.build(model, dropout=0.0))
            for model, recipe in recipes.items()
        },
        "milliseconds": milliseconds,
    }


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that calls `step_timer.answer`. It ends when its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        yield started


def take_turns(
    processes: Mapping[str, subprocess.Popen[str]],
    recipes: Mapping[str, Recipe],
    steps: int,
    repetitions: int,
) -> dict[str, dict[str, float]]:
    """Return the CPU time of a step by model and process: the median, in milliseconds."""
    milliseconds = {}
    for model, recipe in tqdm(recipes.items(), disable=None):
        turns = [
            {name: ask(each, model, recipe, steps) for name, each in processes.items()}
            for _ in range(repetitions)
        ]
        milliseconds[model] = {
            name: round(1000 * median(turn[name] for turn in turns), 2) for name in processes
        }
    return milliseconds


def ask(process: subprocess.Popen[str], model: str, recipe: Recipe, steps: int) -> float:
    """Return the CPU time of a step, in seconds: the mean of `steps` steps."""
    assert process.stdin
    assert process.stdout
    request = {"model": model, "recipe": recipe.model_dump(), "steps": steps}
    with suppress(BrokenPipeError):
        print(json.dumps(request), file=process.stdin, flush=True)
    if not (answer := process.stdout.readline()):
        raise UserError(f"a process that trains {model} failed; its messages are above")
    return float(answer)


def read() -> Steps:
    """Return the last results."""
    results: Steps = json.loads(read_text(RESULTS))
    return results


def table(results: Steps) -> str:
    """Return the table and the sentences about it."""
    sizes = {*results["batch_sizes"].values()}
    values = {
        **results,
        "batch_sizes": " or ".join(map(str, sorted(sizes, reverse=True))),
        "rates": {
            model: results["operations"][model] / (times["engine"] * 1e6)
            for model, times in results["milliseconds"].items()
        },
    }
    return templates.render(TEMPLATE, values, (title, cpu_time_measured_on), autoescape=False)


if __name__ == "__main__":
    run(main)
