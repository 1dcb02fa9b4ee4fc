"""The published numbers of the write-up, from reference/, as typed values."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, with_config

from study.base.errors import UserError
from study.base.files import read_text
from study.base.yaml_io import from_yaml, typed
from study.networks import receptive_field
from study.networks.receptive_field import COLUMNS


def _rows(table: str | None) -> list[dict[str, str]] | None:
    """Return the cells of a receptive-field table as printed: a header, a rule, and the rows."""
    if table is None:
        return None
    rows = []
    for line in table.splitlines()[2:]:
        # Layer names contain single blanks; `7x7` is a square of side 7.
        layer, *cells = re.split(r" {2,}", line.strip())
        if len(cells) != len(COLUMNS) - 1:
            raise ValueError(f"must be a table of {len(COLUMNS)} columns")
        field, *numbers = cells
        cells = [layer, field.partition("x")[0], *numbers]
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


@dataclass(frozen=True)
class Target:
    """The write-up's target."""

    parameters: int
    """Exclusive upper bound of the number of parameters."""
    accuracy: float
    """Exclusive lower bound of the accuracy, in percent."""


@dataclass(frozen=True)
class PublishedRecipe:
    """The training parameters in the write-up."""

    optimizer: str
    momentum: float
    learning_rate: float
    batch_size_gpu: int
    batch_size_cpu: int
    epochs: int
    dropout: float
    """A probability."""


@dataclass(frozen=True)
class PublishedEpoch:
    """One logged epoch of one model, a row of epochs.csv: epochs from 0, accuracies in percent."""

    model: str
    epoch: int
    train_accuracy: float
    last_batch_loss: float
    test_loss: float
    test_correct: int
    test_accuracy: float


@dataclass(frozen=True)
class PublishedModel:
    """The published facts about one model; None if not published."""

    architecture: str
    recipe: PublishedRecipe | None
    receptive_field: Annotated[tuple[receptive_field.Row, ...] | None, BeforeValidator(_rows)]
    summary: str
    parameters: int
    stated_best_accuracy: float | None
    epochs: tuple[PublishedEpoch, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Test accuracy of the last logged epoch, in percent."""
        return self.epochs[-1].test_accuracy if self.epochs else None

    @property
    def loss(self) -> float | None:
        """Test loss of the last logged epoch, in nats."""
        return self.epochs[-1].test_loss if self.epochs else None

    @property
    def best_accuracy(self) -> float | None:
        """Highest test accuracy of a logged epoch, in percent; without a log, the stated one."""
        return max((e.test_accuracy for e in self.epochs), default=self.stated_best_accuracy)

    @property
    def reports_best_epoch(self) -> bool:
        """True if the only published accuracy is that of the best epoch."""
        return self.accuracy is None and self.best_accuracy is not None

    @property
    def reported_accuracy(self) -> float | None:
        """Test accuracy to compare ours with: of the last epoch if published, else of the best."""
        return self.best_accuracy if self.accuracy is None else self.accuracy


@dataclass(frozen=True)
class ClaimedMetrics:
    """Numbers that a claim quotes for a run of `model`: the logged run or a `variant` of it."""

    model: str
    variant: str | None = None
    accuracy: float | None = None
    best_accuracy: float | None = None
    loss: float | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class QuotedClaim:
    """A claim of the write-up, in its own words."""

    id: str
    quote: str
    metrics: tuple[ClaimedMetrics, ...]
    compares: tuple[str, str] | None = None
    """The two logged models that it compares, baseline first; None if it does not."""


@with_config(ConfigDict(extra="forbid"))  # also for the classes within
@dataclass(frozen=True)
class WriteUp:
    """Everything in reference/; `models` by name, as in models/."""

    target: Target
    test_images: int
    models: Mapping[str, PublishedModel]
    claims: tuple[QuotedClaim, ...]


def read(path: Path, log: Path) -> WriteUp:
    """Read write_up.yaml at `path` and epochs.csv at `log`.

    Raises UserError if one of them is malformed, or if a number that is given twice differs.
    """
    published = from_yaml(WriteUp, str(path), read_text(path))
    rows = list(csv.DictReader(read_text(log).splitlines()))
    epochs = typed(list[PublishedEpoch], rows, lambda row, *_: f"{log} line {row + 2}")
    models = {
        name: replace(model, epochs=tuple(e for e in epochs if e.model == name))
        for name, model in published.models.items()
    }
    published = replace(published, models=models)
    for contradiction in _contradictions(published, epochs):
        raise UserError(f"{path}: {contradiction}; correct one of them")
    return published


def _contradictions(published: WriteUp, epochs: Sequence[PublishedEpoch]) -> Iterator[str]:
    """Yield one line for each number that is given twice and differs."""
    models = published.models
    for name in sorted({epoch.model for epoch in epochs} - set(models)):
        yield f"epochs.csv has a log of {name}, which is not in models"
    for name, model in models.items():
        if f"Total params: {model.parameters:,}" not in model.summary.splitlines():
            yield f"models.{name}.parameters is {model.parameters}, but its summary differs"
        if model.epochs and model.stated_best_accuracy is not None:
            yield f"models.{name}.stated_best_accuracy must be null, because epochs.csv has a log"
        for number, epoch in enumerate(model.epochs):
            where = f"epochs.csv, {name}, epoch {epoch.epoch}"
            if epoch.epoch != number:
                yield f"{where} must be epoch {number}"
            if round(100 * epoch.test_correct / published.test_images, 2) != epoch.test_accuracy:
                yield (
                    f"{where}: test_accuracy is {epoch.test_accuracy}, but test_correct is"
                    f" {epoch.test_correct} of {published.test_images}"
                )
    for claim in published.claims:
        for name in claim.compares or ():
            if name not in models:
                yield f"claim {claim.id} compares {name}, which is not in models"
        for metrics in claim.metrics:
            if metrics.model not in models:
                yield f"claim {claim.id} quotes {metrics.model}, which is not in models"
            elif metrics.variant is None:
                for key in ("accuracy", "best_accuracy", "loss", "parameters"):
                    quoted, known = getattr(metrics, key), getattr(models[metrics.model], key)
                    if quoted not in (None, known):
                        yield (
                            f"claim {claim.id} quotes {key} {quoted} of {metrics.model},"
                            f" which has {known}"
                        )
