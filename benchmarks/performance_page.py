"""The text of docs/performance.md, from benchmarks/results.json."""

import json
from pathlib import Path
from statistics import median
from typing import TypedDict

from benchmarks.comparison import Comparison, Spread
from benchmarks.machine import Machine, measured_on
from benchmarks.pipeline import FACTORS, MODEL, Growth
from benchmarks.processes import WARM_UP
from study.reporting import templates
from study.reporting.formats import title

RESULTS = Path(__file__).parent / "results.json"
TEMPLATE = Path(__file__).parent / "performance.md.j2"


class Results(TypedDict):
    """The contents of results.json."""

    machine: Machine
    comparison: Comparison
    growth: Growth
    no_change_seconds: float | None


def read() -> Results:
    """Return the last results."""
    results: Results = json.loads(RESULTS.read_text("utf-8"))
    return results


def markdown(results: Results) -> str:
    """Return the page."""
    comparison, growth = results["comparison"], results["growth"]
    models, turns = comparison["models"].values(), comparison["turns"]
    first, second, third = FACTORS
    images = ", ".join(f"{factor * growth['train_images']:,}" for factor in FACTORS)
    values = {
        **results,
        "headline": headline(results),
        "speedup": speedup,
        "by_turn": ", ".join(f"{each:.1f}" for each in comparison["study"]["speedup_by_turn"]),
        "epochs": sum(model["epochs"] for model in models),
        "batches_per_epoch": " or ".join(
            map(str, sorted({m["batches_per_epoch"] for m in models}))
        ),
        "baseline_threads": next(iter(turns[0].values()))["baseline"]["threads"],
        "warm_up": WARM_UP,
        "baseline_start_up": median(model["baseline"]["start_up_seconds"] for model in models),
        "project_start_up": median(model["project"]["start_up_seconds"] for model in models),
        "first_start_up": median(
            next(iter(turn.values()))["project"]["start_up_seconds"] for turn in turns
        ),
        "factors": FACTORS,
        "growth_model": MODEL,
        "growth_rows": [
            (f"{first}, {second}, {third} epochs", growth["by_epochs"]),
            (f"{images} images", growth["by_images"]),
            (f"{first}, {second}, {third} models in turn", growth["by_models"]),
            (f"{first}, {second}, {third} models at once", growth["by_jobs"]),
        ],
    }
    return templates.render(TEMPLATE, values, (title, measured_on), autoescape=False)


def headline(results: Results) -> str:
    """Return the sentence that sums it up."""
    comparison, cores = results["comparison"], results["machine"]["cores"]
    count, study = len(comparison["models"]), comparison["study"]
    minutes = study["project_seconds"] / 60
    return (
        f"On {cores} cores, training all {count} models once takes {minutes:.0f} minutes:"
        f" {study['speedup']:.0f} times as fast as a plain PyTorch loop."
    )


def speedup(spread: Spread) -> str:
    """Return a speedup with its range: `3.5 (3.3–7.2)`."""
    return f"{spread['median']:.1f} ({spread['least']:.1f}–{spread['most']:.1f})"
