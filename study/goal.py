"""The documents' goal: what came of it on the test images, and how its recipe was chosen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from study import comparison
from study.comparison import Mean
from study.ledger import Row
from study.recipe import Recipe
from study.seeds import by_experiment

MODEL = "model_6"
"""The one that is after it."""


@dataclass(frozen=True)
class Outcome:
    """The model as it is on the test images, over its seeds."""

    parameters: int
    accuracy: Mean
    """In percent, after the last epoch."""
    lowest: float
    highest: float
    p: float
    """One-sided, that the mean is not above the goal."""


@dataclass(frozen=True)
class Choice:
    """One way to train, judged on held-out training images."""

    experiment: str
    parameters: int
    accuracy: Mean
    """In percent, after the last epoch."""
    difference: Mean | None
    """To the chosen way, seed by seed, in points; None where no seed has run both."""


def outcome(rows: Iterable[Row], accuracy: float) -> Outcome | None:
    """Hold the rows on the test images against an accuracy in percent; None without such rows."""
    runs = [row for row in rows if row.model == MODEL and row.is_plain]
    if not runs:
        return None
    reached = [*accuracies(runs).values()]
    return Outcome(
        int(runs[0].metrics["parameters"]),
        comparison.mean(reached),
        min(reached),
        max(reached),
        comparison.p_above(reached, accuracy) if len(runs) > 1 else 1.0,
    )


def choices(rows: Iterable[Row]) -> list[Choice]:
    """Return the held-out experiments: the chosen one first, then from the best one down.

    Chosen is the one with the recipe of the model as it is, but for what is held out.
    """
    rows = list(rows)
    frozen = {common(row) for row in rows if row.is_plain and row.model == MODEL}
    groups = by_experiment(row for row in rows if row.recipe.holdout)
    chosen = next((name for name, runs in groups.items() if common(runs[0]) in frozen), None)
    baseline = accuracies(groups.get(chosen, [])) if chosen else {}
    found = [choice(name, accuracies(runs), baseline, runs[0]) for name, runs in groups.items()]
    return sorted(found, key=lambda each: (each.experiment != chosen, -each.accuracy.mean))


def choice(
    experiment: str, accuracies: Mapping[int, float], baseline: Mapping[int, float], row: Row
) -> Choice:
    """Return an experiment beside the chosen one, both by seed; `row` is one of its runs."""
    shared = accuracies.keys() & baseline.keys()
    differences = [accuracies[seed] - baseline[seed] for seed in sorted(shared)]
    return Choice(
        experiment,
        int(row.metrics["parameters"]),
        comparison.mean([*accuracies.values()]),
        comparison.mean(differences) if differences else None,
    )


def common(row: Row) -> tuple[str, Recipe]:
    """Return what a run has in common with those of other seeds, held out or not."""
    return row.model, row.recipe.model_copy(update={"seed": 0, "holdout": 0})


def accuracies(rows: Iterable[Row]) -> dict[int, float]:
    """Return each run's accuracy in percent, by seed."""
    return {row.recipe.seed: float(row.metrics["accuracy"]) for row in rows}
