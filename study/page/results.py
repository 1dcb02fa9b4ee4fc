"""The results of the study, as the page's template and charts need them."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.evaluation.metrics import Metrics
from study.evidence.aggregates import ConfigurationStats, EpochBand
from study.evidence.verdicts import Claim
from study.evidence.write_up import PublishedModel, WriteUp
from study.page.network_export import Network
from study.reporting.formats import title
from study.training.history import Epoch

STEPS = (1, 2, 5, 10)
"""Distances between the ticks of an axis, times a power of ten."""
TICKS = 8
"""Maximum number of ticks."""


@dataclass(frozen=True)
class Axis:
    """A horizontal axis; places on it are percentages of its length, as SVG has them."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float | None]) -> "Axis":
        """Return an axis that has these values, and a little room on both sides."""
        known = [each for each in values if each is not None] or [0.0]
        low, high = min(known), max(known)
        room = 0.04 * (high - low) or 0.5
        return cls(low - room, high + room)

    def at(self, value: float) -> str:
        """Return the place of a value, at an end of the axis if it is beyond."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(max(share, 0), 1):.2f}%"

    def length(self, low: float, high: float) -> str:
        """Return the distance between the places of two values."""
        return f"{float(self.at(high)[:-1]) - float(self.at(low)[:-1]):.2f}%"

    @property
    def ticks(self) -> list[float]:
        """Round values on the axis."""
        span = (self.high - self.low) / (TICKS - 1)
        power = 10.0 ** math.floor(math.log10(span))
        step = next(each * power for each in STEPS if each * power >= span * 0.999)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(index * step, 6) for index in range(first, last + 1)]


@dataclass(frozen=True)
class Model:
    """A model, with the network whose weights the page has."""

    name: str
    metrics: Metrics
    """Of this network."""
    stats: ConfigurationStats | None
    """Of several seeds; None without such runs."""
    published: PublishedModel | None
    """What the write-up says of the model."""
    network: Network
    sha256: str
    """Checksum of the file with the weights."""

    def for_scripts(self) -> dict[str, Any]:
        """Return what the page's scripts need to compute with the network."""
        return {
            "name": self.name,
            "title": title(self.name),
            "parameters": self.metrics.parameters,
            "layers": self.network.description(),
            "numbers": base64.b64encode(self.network.numbers.tobytes()).decode(),
        }


def accuracy_axis(configurations: Iterable[ConfigurationStats], published: WriteUp) -> Axis:
    """Return the axis of accuracies, in percent: all intervals, the write-up's, the target."""
    values: list[float | None] = [published.target.accuracy]
    for each in configurations:
        values += [each.accuracy, each.low, each.high, each.published]
    return Axis.around(values)


def difference_axis(claims: Iterable[Claim], margin: float) -> Axis:
    """Return the axis of the differences between accuracies, in points."""
    values: list[float | None] = [-margin, margin]
    for claim in claims:
        for check in claim.checks:
            if check.is_about_accuracy:
                values += [check.difference, *(check.interval or ())]
    return Axis.around(values)


def curves(
    histories: Mapping[str, Sequence[Epoch]],
    bands: Mapping[str, Sequence[EpochBand]],
    defaults: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return test accuracy over the epochs of each model, for the page's scripts.

    Over the seeds of its default configuration (`defaults`, from id to model); without such runs,
    the history of its one training.
    """
    by_model = {defaults[name]: band for name, band in bands.items()}
    found = []
    for model, epochs in histories.items():
        if band := by_model.get(model):
            runs = band[0].n
            points = [[each.lowest, each.mean, each.highest] for each in band]
        else:
            runs = 1
            points = [[each.test_accuracy] * 3 for each in epochs]
        found.append({"title": title(model), "runs": runs, "points": points})
    return found
