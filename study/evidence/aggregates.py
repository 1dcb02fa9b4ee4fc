"""What many runs say together: each configuration over its seeds, as the figures show it."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from study.evidence import statistics
from study.evidence.run_table import Row
from study.evidence.statistics import Mean
from study.evidence.verdicts import ACCURACIES, Claim
from study.evidence.write_up import Documents

DECIMALS = 4


@dataclass(frozen=True)
class Configuration:
    """An experiment over its seeds: accuracies in percent, of the last epoch unless said."""

    experiment: str
    parameters: int
    n: int
    """Seeds."""
    accuracy: float
    low: float | None
    """From here to `high`, the 95 % interval of the mean; None of a single run."""
    high: float | None
    deviation: float | None
    """Standard deviation (n - 1) from seed to seed."""
    loss: float
    best_accuracy: float
    gain: float
    """Best epoch less last epoch: what choosing the epoch on the test set adds."""
    gain_low: float | None
    gain_high: float | None
    last_epochs_std: float
    documents: float | None
    """The accuracy that the documents give."""


@dataclass(frozen=True)
class Band:
    """Test accuracy of a model as it is, over its seeds, after one epoch; in percent."""

    experiment: str
    epoch: int
    n: int
    lowest: float
    mean: float
    highest: float
    documents: float | None


@dataclass(frozen=True)
class Difference:
    """A test of a conclusion whose figure is an accuracy; in points."""

    conclusion: str
    figure: str
    of: str
    relation: str
    against: str
    n: int
    difference: float
    low: float | None
    high: float | None
    verdict: str


def by_experiment(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the runs of each experiment, those of few parameters first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.experiment, []).append(row)
    order = sorted(groups, key=lambda name: (float(groups[name][0].metrics["parameters"]), name))
    return {name: groups[name] for name in order}


def configurations(rows: Iterable[Row], documents: Documents) -> list[Configuration]:
    """Return each experiment over its seeds. Runs that came to no number count as they are: nan."""
    found = []
    for name, runs in by_experiment(rows).items():
        figure = {key: [float(run.metrics[key]) for run in runs] for key in runs[0].metrics}
        accuracy = statistics.mean(figure["accuracy"])
        best = figure["best_accuracy"]
        gain = statistics.mean([b - a for a, b in zip(figure["accuracy"], best, strict=True)])
        model = documents.models.get(runs[0].model) if runs[0].is_plain else None
        found.append(
            Configuration(
                name,
                int(figure["parameters"][0]),
                len(runs),
                rounded(accuracy.mean),
                *bounds(accuracy),
                rounded(accuracy.deviation) if len(runs) > 1 else None,
                rounded(statistics.mean(figure["loss"]).mean),
                rounded(statistics.mean(best).mean),
                rounded(gain.mean),
                *bounds(gain),
                rounded(statistics.mean(figure["last_epochs_std"]).mean),
                (model.accuracy or model.best_accuracy) if model else None,
            )
        )
    return found


def bands(rows: Iterable[Row], documents: Documents) -> dict[str, list[Band]]:
    """Return the curve over seeds of each model as it is, by its experiment."""
    found = {}
    for name, runs in sorted(by_experiment(rows).items()):
        if not runs[0].is_plain:
            continue
        model = documents.models.get(runs[0].model)
        log = model.epochs if model else ()
        curves = zip(*(run.test_accuracies for run in runs), strict=True)
        found[name] = [
            Band(
                name,
                epoch,
                len(runs),
                min(accuracies),
                rounded(statistics.mean(accuracies).mean),
                max(accuracies),
                log[epoch].test_accuracy if epoch < len(log) else None,
            )
            for epoch, accuracies in enumerate(curves)
        ]
    return found


def differences(claims: Iterable[Claim]) -> list[Difference]:
    """Return the tests that are about accuracies and have runs, conclusion by conclusion."""
    return [
        Difference(
            claim.id,
            test.figure,
            test.of,
            test.relation,
            test.against,
            len(test.seeds),
            test.difference,
            test.interval[0] if test.interval else None,
            test.interval[1] if test.interval else None,
            test.verdict,
        )
        for claim in claims
        for test in claim.tests
        if test.figure in ACCURACIES and test.difference is not None
    ]


def bounds(mean: Mean) -> tuple[float | None, float | None]:
    """Return where the interval of a mean begins and ends."""
    return (rounded(mean.interval[0]), rounded(mean.interval[1])) if mean.interval else (None, None)


def rounded(value: float) -> float:
    """Return a value with the decimals that the figures' data have."""
    return round(value, DECIMALS) + 0.0  # no minus before 0


def to_csv(kind: type[Any], rows: Iterable[Any]) -> str:
    """Write a header and a row for each of these; nothing where there is None."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
