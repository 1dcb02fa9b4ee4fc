"""The documents' figures, from reference/, as typed values."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, with_config

from study.base.errors import UserError
from study.base.yaml_io import from_yaml, typed
from study.networks.receptive_field import COLUMNS, Row


def _rows(table: str | None) -> list[dict[str, str]] | None:
    """Take the documents' receptive-field table, a header and a rule above its rows, apart."""
    if table is None:
        return None
    # Layer names contain single blanks; `7x7` is a square of side 7.
    cells = (re.split(r" {2,}", line.strip()) for line in table.splitlines()[2:])
    return [
        dict(zip(COLUMNS, (layer, field.partition("x")[0], *numbers), strict=True))
        for layer, field, *numbers in cells
    ]


@dataclass(frozen=True)
class Target:
    """What the write-up aims at: fewer `parameters`, an `accuracy` above this one (percent)."""

    parameters: int
    accuracy: float


@dataclass(frozen=True)
class Recipe:
    """Training parameters in the write-up; `dropout` is a probability."""

    optimizer: str
    momentum: float
    learning_rate: float
    batch_size_gpu: int
    batch_size_cpu: int
    epochs: int
    dropout: float


@dataclass(frozen=True)
class Epoch:
    """One logged epoch of one model, a row of epochs.csv: epochs from 0, accuracies in percent."""

    model: int
    epoch: int
    train_accuracy: float
    last_batch_loss: float
    test_loss: float
    test_correct: int
    test_accuracy: float


@dataclass(frozen=True)
class Model:
    """Published facts about one model; None if not published."""

    architecture: str
    recipe: Recipe | None
    receptive_field: Annotated[tuple[Row, ...] | None, BeforeValidator(_rows)]
    summary: str
    parameters: int
    stated_best_accuracy: float | None
    epochs: tuple[Epoch, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Test accuracy of the last logged epoch, percent."""
        return self.epochs[-1].test_accuracy if self.epochs else None

    @property
    def loss(self) -> float | None:
        """Test loss of the last logged epoch."""
        return self.epochs[-1].test_loss if self.epochs else None

    @property
    def best_accuracy(self) -> float | None:
        """Highest test accuracy of any logged epoch, percent; without a log, the stated one."""
        return max((e.test_accuracy for e in self.epochs), default=self.stated_best_accuracy)


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
    """Where it sets one logged model against another: their names, the baseline's first."""


# A key that no field takes is a misspelling; this holds for the classes above, too.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class WriteUp:
    """Everything in reference/; `models` by name, as in models/."""

    target: Target
    test_images: int
    models: Mapping[str, Model]
    claims: tuple[QuotedClaim, ...]


def read(path: Path, log: Path) -> WriteUp:
    """Read write_up.yaml at `path` and epochs.csv at `log`.

    Raises UserError when one of them is malformed, or when two places state the same and disagree.
    """
    published = from_yaml(WriteUp, str(path), path.read_text(encoding="utf-8"))
    with log.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = typed(list[Epoch], rows, lambda row, *_: f"{log} line {row + 2}")
    models = {
        name: replace(model, epochs=tuple(e for e in epochs if f"model_{e.model}" == name))
        for name, model in published.models.items()
    }
    published = replace(published, models=models)
    for contradiction in _contradictions(published, epochs):
        raise UserError(f"{path}: {contradiction}; correct one of them")
    return published


def _contradictions(published: WriteUp, epochs: Sequence[Epoch]) -> Iterator[str]:
    """Yield one line for each two places that state the same and disagree."""
    models = published.models
    for name in sorted({f"model_{epoch.model}" for epoch in epochs} - set(models)):
        yield f"epochs.csv logs {name}, which is not among the models"
    for name, model in models.items():
        if f"Total params: {model.parameters:,}" not in model.summary.splitlines():
            yield f"{name}: parameters is {model.parameters}, its summary's total another"
        if model.epochs and model.stated_best_accuracy is not None:
            yield f"{name}: stated_best_accuracy stands beside a log of its epochs"
        for number, epoch in enumerate(model.epochs):
            if epoch.epoch != number:
                yield f"{name}: epochs.csv has epoch {epoch.epoch} where {number} is due"
            if round(100 * epoch.test_correct / published.test_images, 2) != epoch.test_accuracy:
                share = f"{epoch.test_correct} of {published.test_images}"
                yield f"{name}, epoch {number}: {share} is not {epoch.test_accuracy} %"
    for claim in published.claims:
        for name in claim.compares or ():
            if name not in models:
                yield f"{claim.id}: compares {name}, which is not among the models"
        for metrics in claim.metrics:
            if metrics.model not in models:
                yield f"{claim.id}: {metrics.model} is not among the models"
            elif metrics.variant is None:
                for key in ("accuracy", "best_accuracy", "loss", "parameters"):
                    stated, known = getattr(metrics, key), getattr(models[metrics.model], key)
                    if stated not in (None, known):
                        yield f"{claim.id}: {key} of {metrics.model} is {stated}, not {known}"
