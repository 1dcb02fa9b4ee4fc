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
    """What the documents are after: fewer `parameters`, an `accuracy` above (percent)."""

    parameters: int
    accuracy: float


@dataclass(frozen=True)
class Recipe:
    """The training parameters that the documents state; `dropout` is a probability."""

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
    """What the documents say of one model; None where they say nothing."""

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
class Figure:
    """Numbers that a conclusion states of a run of `model`: the logged one or a `variant`."""

    model: str
    variant: str | None = None
    accuracy: float | None = None
    best_accuracy: float | None = None
    loss: float | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Conclusion:
    """A conclusion of the documents, in their words."""

    id: str
    words: str
    figures: tuple[Figure, ...]
    compares: tuple[str, str] | None = None
    """Where it sets one logged model against another: their names, the baseline's first."""


# A key that no field takes is a misspelling; this holds for the classes above, too.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Documents:
    """All that reference/ holds; `models` by name, as in models/."""

    target: Target
    test_images: int
    models: Mapping[str, Model]
    conclusions: tuple[Conclusion, ...]


def read(path: Path, log: Path) -> Documents:
    """Read documents.yaml at `path` and epochs.csv at `log`.

    Raises UserError when one of them is malformed, or when two places state the same and disagree.
    """
    documents = from_yaml(Documents, str(path), path.read_text(encoding="utf-8"))
    with log.open(encoding="utf-8", newline="") as file:
        epochs = typed(list[Epoch], str(log), list(csv.DictReader(file)))
    models = {
        name: replace(model, epochs=tuple(e for e in epochs if f"model_{e.model}" == name))
        for name, model in documents.models.items()
    }
    documents = replace(documents, models=models)
    for contradiction in _contradictions(documents, epochs):
        raise UserError(f"{path}: {contradiction}; correct one of them")
    return documents


def _contradictions(documents: Documents, epochs: Sequence[Epoch]) -> Iterator[str]:
    """Yield one line for each two places that state the same and disagree."""
    models = documents.models
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
            if round(100 * epoch.test_correct / documents.test_images, 2) != epoch.test_accuracy:
                share = f"{epoch.test_correct} of {documents.test_images}"
                yield f"{name}, epoch {number}: {share} is not {epoch.test_accuracy} %"
    for conclusion in documents.conclusions:
        for name in conclusion.compares or ():
            if name not in models:
                yield f"{conclusion.id}: compares {name}, which is not among the models"
        for figure in conclusion.figures:
            if figure.model not in models:
                yield f"{conclusion.id}: {figure.model} is not among the models"
            elif figure.variant is None:
                for key in ("accuracy", "best_accuracy", "loss", "parameters"):
                    stated, known = getattr(figure, key), getattr(models[figure.model], key)
                    if stated not in (None, known):
                        yield f"{conclusion.id}: {key} of {figure.model} is {stated}, not {known}"
