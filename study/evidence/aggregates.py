"""Statistics of each configuration over its seeds: the data behind the figures of the report."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from study.evidence import statistics
from study.evidence.run_table import DECIMALS, Row, by_configuration, by_seed, resolution
from study.evidence.statistics import MeanCI
from study.evidence.verdicts import ACCURACIES, Claim
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
    gain: float
    """Best epoch minus last epoch: the bias from choosing the epoch on the test set."""
    gain_low: float | None
    gain_high: float | None
    last_epochs_std: float
    published: float | None
    """Published accuracy of the default configuration of a model."""


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


@dataclass(frozen=True)
class Difference:
    """A check of a claim about accuracies, in points."""

    claim: str
    metric: str
    of: str
    relation: str
    than: str
    n: int
    difference: float
    low: float | None
    high: float | None
    verdict: str


def configuration_stats(
    rows: Iterable[Row], published: WriteUp, defaults: Mapping[str, str]
) -> list[ConfigurationStats]:
    """Return the statistics of each configuration. Failed runs (nan) are included."""
    found = []
    for name, runs in by_configuration(rows).items():
        metrics = {key: by_seed(runs, key) for key in DECIMALS}
        mean = {key: statistics.mean_ci([*of_runs.values()]) for key, of_runs in metrics.items()}
        accuracy = mean["accuracy"]
        gain = statistics.paired_difference(
            metrics["best_accuracy"], metrics["accuracy"], resolution("accuracy")
        ).mean
        model = published.models.get(defaults.get(name, ""))
        (low, high), (gain_low, gain_high) = bounds(accuracy), bounds(gain)
        found.append(
            ConfigurationStats(
                configuration=name,
                model=runs[0].model,
                default=name in defaults,
                parameters=int(mean["parameters"].mean),
                n=len(runs),
                accuracy=rounded(accuracy.mean),
                low=low,
                high=high,
                sd=rounded(accuracy.sd) if len(runs) > 1 else None,
                loss=rounded(mean["loss"].mean),
                best_accuracy=rounded(mean["best_accuracy"].mean),
                gain=rounded(gain.mean),
                gain_low=gain_low,
                gain_high=gain_high,
                last_epochs_std=rounded(mean["last_epochs_std"].mean),
                published=(model.accuracy or model.best_accuracy) if model else None,
            )
        )
    return found


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
                mean=rounded(statistics.mean_ci(accuracies).mean),
                highest=max(accuracies),
                published=log[epoch].test_accuracy if epoch < len(log) else None,
            )
            for epoch, accuracies in enumerate(curves)
        ]
    return found


def differences(claims: Iterable[Claim]) -> list[Difference]:
    """Return the checks that are about accuracies and have runs, claim by claim."""
    return [
        Difference(
            claim=claim.id,
            metric=check.metric,
            of=check.of,
            relation=check.relation,
            than=check.than,
            n=len(check.seeds),
            difference=check.difference,
            low=check.interval[0] if check.interval else None,
            high=check.interval[1] if check.interval else None,
            verdict=check.verdict,
        )
        for claim in claims
        for check in claim.checks
        if check.metric in ACCURACIES and check.difference is not None
    ]


def bounds(mean: MeanCI) -> tuple[float | None, float | None]:
    """Return the rounded ends of the interval of a mean, if it has one."""
    return (rounded(mean.interval[0]), rounded(mean.interval[1])) if mean.interval else (None, None)


def rounded(value: float) -> float:
    """Return a value with the decimals of the figures' data."""
    return round(value, ROUNDING) + 0.0  # turns -0.0 into 0.0


def to_csv(kind: type[Any], rows: Iterable[Any]) -> str:
    """Return dataclass instances of a kind as CSV; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
