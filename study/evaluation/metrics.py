"""The stored results of an evaluation: metrics, predictions and confusion counts."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from study.base.yaml_io import from_yaml
from study.data.raw import CLASSES
from study.recipes.recipe import TRAINING_IMAGES
from study.training.history import Epoch

LAST = 3  # epochs

Labels = NDArray[np.int64]


class Metric(NamedTuple):
    """How a metric is written."""

    name: str
    unit: str
    decimals: int


METRICS = {
    "accuracy": Metric("accuracy", "%", 2),
    "best_accuracy": Metric("best-epoch accuracy", "%", 2),
    "loss": Metric("loss", "nats", 4),
    "train_accuracy": Metric("training accuracy", "%", 2),
    "last_epochs_std": Metric("SD of last three epochs", "points", 3),
    "parameters": Metric("parameters", "", 0),
}
"""The metrics, in the order of the columns of metrics/runs.csv."""


@dataclass(frozen=True)
class Metrics:
    """The metrics of one run, in the order of metrics/models/M.json; None for a missing one."""

    accuracy: FiniteFloat | None = None
    """After the last epoch, in percent, on the images that `validation_images` says."""
    loss: FiniteFloat | None = None
    """After the last epoch, on the same images, in nats per image."""
    best_accuracy: FiniteFloat | None = None
    """After the best epoch, on the same images, in percent."""
    train_accuracy: FiniteFloat | None = None
    """Of the last epoch's training, in percent."""
    last_epochs_std: FiniteFloat | None = None
    """SD of the accuracy on the same images over the last epochs, in points."""
    parameters: int | None = None
    """Number of parameters."""
    validation_images: Annotated[int, Field(ge=0, lt=TRAINING_IMAGES)] = 0
    """Number of last training images that it was evaluated on; 0 for the test set."""


def measure(
    accuracy: float, loss: float, history: Sequence[Epoch], parameters: int, validation_images: int
) -> Metrics:
    """Return the metrics of a run with this accuracy and loss, in the decimals of the write-up."""
    return Metrics(
        accuracy=round(accuracy, METRICS["accuracy"].decimals),
        loss=round(loss, METRICS["loss"].decimals),
        best_accuracy=max(epoch.test_accuracy for epoch in history),
        train_accuracy=history[-1].train_accuracy,
        last_epochs_std=last_epochs_std([epoch.test_accuracy for epoch in history]),
        parameters=parameters,
        validation_images=validation_images,
    )


def last_epochs_std(test_accuracies: Sequence[float]) -> float:
    """Return the sample SD of test accuracy over the last three epochs, in points.

    With fewer epochs, it covers all of them; after a single one it is 0.
    """
    last = test_accuracies[-LAST:]
    return round(stdev(last), METRICS["last_epochs_std"].decimals) if len(last) > 1 else 0.0


def to_json(metrics: Metrics) -> str:
    """Return the text of metrics/models/M.json; without validation images for the test set."""
    values = asdict(metrics)
    if not metrics.validation_images:
        del values["validation_images"]
    return json.dumps(values, indent=2) + "\n"


def from_json(name: str, text: str) -> Metrics:
    """Return the metrics in the text of the JSON file `name`. Raises UserError if it is not valid.

    Unknown metrics are ignored. (JSON is YAML.)
    """
    return from_yaml(Metrics, name, text)


def predictions_to_csv(labels: Labels, predictions: Labels) -> str:
    """Return one row per image as CSV: its index from 0, its label, its prediction."""
    rows = zip(range(len(labels)), labels.tolist(), predictions.tolist(), strict=True)
    return _to_csv(("image", "label", "prediction"), rows)


def predictions_from_csv(text: str) -> Labels:
    """Return the predictions in the output of `predictions_to_csv`: [n]."""
    return _last_column(text)


def confusion_to_csv(labels: Labels, predictions: Labels) -> str:
    """Return one row per pair of digits as CSV: label, prediction, number of images."""
    counts = np.bincount(labels * CLASSES + predictions, minlength=CLASSES**2).tolist()
    rows = ((*divmod(pair, CLASSES), count) for pair, count in enumerate(counts))
    return _to_csv(("actual", "predicted", "count"), rows)


def confusion_from_csv(text: str) -> NDArray[np.int64]:
    """Return the counts in the output of `confusion_to_csv`: [label, prediction]."""
    return _last_column(text).reshape(CLASSES, CLASSES)


def _to_csv(header: Sequence[str], rows: Iterable[Sequence[int]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _last_column(text: str) -> NDArray[np.int64]:
    return np.loadtxt(text.splitlines(), np.int64, delimiter=",", skiprows=1, usecols=-1)
