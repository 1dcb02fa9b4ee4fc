"""Runs on validation images, compared with those of the final recipe."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.evidence import statistics
from study.evidence.run_table import Row, by_configuration, metric_values
from study.evidence.statistics import Interval, Mean
from study.recipes.recipe import Recipe


@dataclass(frozen=True)
class Change:
    """A difference of two means, with its 95% CI."""

    mean: float
    interval: Interval


@dataclass(frozen=True)
class HeldOutRow:
    """A configuration on validation images, over its seeds."""

    configuration: str
    parameters: int
    validation_images: int
    """Number of validation images."""
    accuracy: Mean
    """Percent, after the last epoch."""
    loss: Mean
    """Nats, after the last epoch."""
    accuracy_difference: Change | None
    """Points, minus the final recipe; None if either has a single run."""
    loss_difference: Change | None
    """Nats, minus the final recipe; None as for the accuracy."""


def on_validation_images(rows: Sequence[Row], final: str | None) -> list[HeldOutRow]:
    """Return the configurations run on validation images: the final recipe first, then the best.

    The final recipe is that of the configuration `final`, except for the validation images.
    """
    frozen = {without_split(row) for row in rows if row.configuration == final}
    groups = by_configuration(row for row in rows if row.recipe.validation_images)
    chosen = next((name for name, runs in groups.items() if without_split(runs[0]) in frozen), None)
    baseline = groups[chosen] if chosen else []
    found = [
        HeldOutRow(
            configuration=name,
            parameters=int(runs[0].metrics["parameters"]),
            validation_images=runs[0].recipe.validation_images,
            accuracy=statistics.mean(metric_values(runs, "accuracy")),
            loss=statistics.mean(metric_values(runs, "loss")),
            accuracy_difference=difference(runs, baseline, "accuracy"),
            loss_difference=difference(runs, baseline, "loss"),
        )
        for name, runs in groups.items()
    ]
    return sorted(found, key=lambda each: (each.configuration != chosen, -each.accuracy.mean))


def without_split(row: Row) -> tuple[str, Recipe]:
    """Return the model and the recipe of a run, without its seed and its validation images."""
    return row.model, row.recipe.model_copy(update={"seed": 0, "validation_images": 0})


def difference(rows: Sequence[Row], baseline: Sequence[Row], metric: str) -> Change | None:
    """Return the difference of the means of a metric; None if either has a single run."""
    if min(len(rows), len(baseline)) < 2:
        return None
    a, b = (metric_values(each, metric) for each in (rows, baseline))
    found = statistics.difference(a, b)
    low, high = map(float, found.interval(statistics.LEVEL / 2))
    return Change(float(found.mean), (low, high))
