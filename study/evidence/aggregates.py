"""Statistics of each configuration over its seeds: the data behind the figures of the report."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from study.evaluation.metrics import METRICS
from study.evidence import statistics
from study.evidence.run_table import Row, by_configuration, metric_values
from study.evidence.write_up import WriteUp

ROUNDING = 4
"""Decimals of the figures' data."""


@dataclass(frozen=True)
class ConfigurationStats:
    """A configuration over its seeds: accuracies in percent, after the last epoch by default."""

    configuration: str
    model: str
    default: bool
    """True if the configuration is the model as params.yaml has it."""
    parameters: int
    epochs: int
    n: int
    """Number of seeds."""
    accuracy: float
    low: float | None
    """Lower end of the 95% CI of the mean; None for a single run."""
    high: float | None
    """Upper end of the 95% CI of the mean; None for a single run."""
    sd: float | None
    """SD between seeds; None for a single run."""
    loss: float
    best_accuracy: float
    published: float | None
    """Published accuracy of the default configuration of a model."""
    published_best: bool
    """True if that is the one of the best epoch, because there is no other."""
    accuracies: tuple[float, ...]
    """Accuracy of each run."""

    @property
    def gain(self) -> float:
        """Best epoch minus last epoch: what choosing the epoch on the test set adds, in points."""
        return self.best_accuracy - self.accuracy

    @property
    def unrounded(self) -> statistics.Mean:
        """Mean and SD of the accuracies, without the rounding of the figures' data."""
        return statistics.mean(self.accuracies)


@dataclass(frozen=True)
class EpochBand:
    """Test accuracy of a default configuration over its seeds after one epoch, in percent."""

    configuration: str
    epoch: int
    n: int
    lowest: float
    mean: float
    highest: float
    published: float | None


def configuration_stats(
    rows: Iterable[Row], published: WriteUp, defaults: Mapping[str, str]
) -> list[ConfigurationStats]:
    """Return the statistics of each configuration."""
    found = []
    for name, runs in by_configuration(rows).items():
        metrics = {key: metric_values(runs, key) for key in METRICS}
        mean = {key: statistics.mean(values) for key, values in metrics.items()}
        accuracy = mean["accuracy"]
        low, high = accuracy.interval or (None, None)
        model = published.models.get(defaults.get(name, ""))
        found.append(
            ConfigurationStats(
                configuration=name,
                model=runs[0].model,
                default=name in defaults,
                parameters=int(mean["parameters"].mean),
                epochs=runs[0].recipe.epochs,
                n=len(runs),
                accuracy=rounded(accuracy.mean),
                low=None if low is None else rounded(low),
                high=None if high is None else rounded(high),
                sd=rounded(accuracy.sd) if len(runs) > 1 else None,
                loss=rounded(mean["loss"].mean),
                best_accuracy=rounded(mean["best_accuracy"].mean),
                published=model.reported_accuracy if model else None,
                published_best=model is not None and model.reports_best_epoch,
                accuracies=tuple(metrics["accuracy"]),
            )
        )
    return found


def named(
    configurations: Iterable[ConfigurationStats], name: str | None
) -> ConfigurationStats | None:
    """Return the statistics of one configuration; None without runs of it."""
    return next((each for each in configurations if each.configuration == name), None)


def wrongly_ranked(configurations: Sequence[ConfigurationStats]) -> list[float]:
    """Return the probability that single runs of two configurations are not ordered as their means.

    There is one for each pair, ties counted half.
    """
    pairs = combinations(sorted(configurations, key=lambda each: each.accuracy), 2)
    return [statistics.p_superior(low.accuracies, high.accuracies) for low, high in pairs]


def epoch_bands(
    rows: Iterable[Row], published: WriteUp, defaults: Mapping[str, str]
) -> dict[str, list[EpochBand]]:
    """Return the accuracies over the epochs of each default configuration, by its id."""
    found = {}
    for name, runs in sorted(by_configuration(rows).items()):
        if name not in defaults:
            continue
        model = published.models.get(runs[0].model)
        log = model.epochs if model else ()
        curves = zip(*(run.test_accuracies for run in runs), strict=True)
        found[name] = [
            EpochBand(
                configuration=name,
                epoch=epoch,
                n=len(runs),
                lowest=min(accuracies),
                mean=rounded(statistics.mean(accuracies).mean),
                highest=max(accuracies),
                published=log[epoch].test_accuracy if epoch < len(log) else None,
            )
            for epoch, accuracies in enumerate(curves)
        ]
    return found


def rounded(value: float) -> float:
    """Return a value with the decimals of the figures' data."""
    return round(value, ROUNDING) + 0.0  # turns -0.0 into 0.0


def to_csv(kind: type[Any], rows: Iterable[Any]) -> str:
    """Return dataclass instances of a kind as CSV; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow(
            " ".join(map(str, value)) if isinstance(value, tuple) else value for value in values
        )
    return text.getvalue()
