"""The documents' goal: what the model that is after it comes to, and how it was chosen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.evidence import statistics
from study.evidence.aggregates import by_experiment
from study.evidence.run_table import Row, step
from study.evidence.statistics import Mean
from study.recipes.recipe import Recipe

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
    """One-sided, for a mean above the goal; 1 of a single run, which shows nothing."""


@dataclass(frozen=True)
class Choice:
    """A model and a recipe on held-out training images, over the seeds."""

    experiment: str
    parameters: int
    validation_images: int
    """On how many images."""
    accuracy: Mean
    """In percent, after the last epoch."""
    loss: Mean
    """Likewise, in nats."""
    more_accuracy: Mean | None
    """Than the chosen one's, seed by seed, in points; None where no seed has run both."""
    more_loss: Mean | None


def outcome(rows: Iterable[Row], accuracy: float) -> Outcome | None:
    """Hold the runs on the test set against an accuracy in percent; None without such runs."""
    runs = [row for row in rows if row.model == MODEL and row.is_plain]
    if not runs:
        return None
    reached = [*by_seed(runs, "accuracy").values()]
    return Outcome(
        int(runs[0].metrics["parameters"]),
        statistics.mean(reached),
        min(reached),
        max(reached),
        statistics.p_above(reached, accuracy) if len(runs) > 1 else 1.0,
    )


def choices(rows: Sequence[Row]) -> list[Choice]:
    """Return the held-out experiments: the chosen one first, then from the best one down.

    Chosen is the one with the recipe that the model has on the test set.
    """
    frozen = {common(row) for row in rows if row.model == MODEL and row.is_plain}
    groups = by_experiment(row for row in rows if row.recipe.validation_images)
    chosen = next((name for name, runs in groups.items() if common(runs[0]) in frozen), None)
    baseline = groups[chosen] if chosen else []
    found = [
        Choice(
            name,
            int(runs[0].metrics["parameters"]),
            runs[0].recipe.validation_images,
            statistics.mean([*by_seed(runs, "accuracy").values()]),
            statistics.mean([*by_seed(runs, "loss").values()], step("loss")),
            difference(runs, baseline, "accuracy"),
            difference(runs, baseline, "loss"),
        )
        for name, runs in groups.items()
    ]
    return sorted(found, key=lambda each: (each.experiment != chosen, -each.accuracy.mean))


def common(row: Row) -> tuple[str, Recipe]:
    """Return what a run has in common with those of other seeds, held out or not."""
    return row.model, row.recipe.model_copy(update={"seed": 0, "validation_images": 0})


def by_seed(rows: Iterable[Row], figure: str) -> dict[int, float]:
    """Return one of each run's figures."""
    return {row.recipe.seed: float(row.metrics[figure]) for row in rows}


def difference(rows: Iterable[Row], baseline: Iterable[Row], figure: str) -> Mean | None:
    """Return the difference of a figure to a baseline's over the seeds that both have."""
    ours, theirs = by_seed(rows, figure), by_seed(baseline, figure)
    shared = sorted(ours.keys() & theirs.keys())
    differences = [ours[seed] - theirs[seed] for seed in shared]
    return statistics.mean(differences, step(figure)) if shared else None
