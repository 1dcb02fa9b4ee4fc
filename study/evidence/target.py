"""Results for the target of the write-up: the final model, and the ablation of its recipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.evidence import statistics
from study.evidence.run_table import Row, by_configuration, by_seed, resolution
from study.evidence.statistics import MeanCI
from study.recipes.recipe import Recipe


@dataclass(frozen=True)
class FinalModel:
    """The configuration that aims at the target: its runs on the test set."""

    configuration: str
    parameters: int
    accuracy: MeanCI
    """Percent, after the last epoch."""
    lowest: float
    highest: float
    p: float
    """One-sided p-value for a mean above the target; 1 for a single run."""


@dataclass(frozen=True)
class AblationRow:
    """A configuration on validation images, over its seeds."""

    configuration: str
    parameters: int
    validation_images: int
    """Number of validation images."""
    accuracy: MeanCI
    """Percent, after the last epoch."""
    loss: MeanCI
    """Nats, after the last epoch."""
    accuracy_difference: MeanCI | None
    """Points, minus the final recipe, paired by seed; None without a common seed."""
    loss_difference: MeanCI | None
    """Nats, minus the final recipe, paired by seed; None without a common seed."""


def final_model(rows: Iterable[Row], final: str | None, accuracy: float) -> FinalModel | None:
    """Compare the runs of configuration `final` with an accuracy (percent); None without runs."""
    runs = [row for row in rows if row.configuration == final]
    if not runs:
        return None
    accuracies = [*by_seed(runs, "accuracy").values()]
    return FinalModel(
        configuration=runs[0].configuration,
        parameters=int(runs[0].metrics["parameters"]),
        accuracy=statistics.mean_ci(accuracies),
        lowest=min(accuracies),
        highest=max(accuracies),
        p=statistics.p_above(accuracies, accuracy) if len(runs) > 1 else 1.0,
    )


def ablation(rows: Sequence[Row], final: str | None) -> list[AblationRow]:
    """Return the configurations run on validation images: the final recipe first, then the best.

    The final recipe is that of the configuration `final`, except for the validation images.
    """
    frozen = {without_split(row) for row in rows if row.configuration == final}
    groups = by_configuration(row for row in rows if row.recipe.validation_images)
    chosen = next((name for name, runs in groups.items() if without_split(runs[0]) in frozen), None)
    baseline = groups[chosen] if chosen else []
    found = [
        AblationRow(
            configuration=name,
            parameters=int(runs[0].metrics["parameters"]),
            validation_images=runs[0].recipe.validation_images,
            accuracy=statistics.mean_ci([*by_seed(runs, "accuracy").values()]),
            loss=statistics.mean_ci([*by_seed(runs, "loss").values()], resolution("loss")),
            accuracy_difference=difference(runs, baseline, "accuracy"),
            loss_difference=difference(runs, baseline, "loss"),
        )
        for name, runs in groups.items()
    ]
    return sorted(found, key=lambda each: (each.configuration != chosen, -each.accuracy.mean))


def without_split(row: Row) -> tuple[str, Recipe]:
    """Return the model and the recipe of a run, without its seed and its validation images."""
    return row.model, row.recipe.model_copy(update={"seed": 0, "validation_images": 0})


def difference(rows: Iterable[Row], baseline: Iterable[Row], metric: str) -> MeanCI | None:
    """Return the mean difference from a baseline over common seeds; None if there are none."""
    paired = statistics.paired_difference(
        by_seed(rows, metric), by_seed(baseline, metric), resolution(metric)
    )
    return paired.mean if paired.is_known else None
