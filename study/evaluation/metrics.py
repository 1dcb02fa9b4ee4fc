"""The stored results of an evaluation: metrics, predictions and confusion counts."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from study.evaluation.evaluator import Evaluation
from study.evaluation.steadiness import last_epochs_std
from study.training.history import Epoch

DIGITS = 10

Labels = NDArray[np.int64]


def metrics(
    network: nn.Sequential, tested: Evaluation, history: Sequence[Epoch], validation_images: int
) -> dict[str, float]:
    """Return the model's metrics, in the units and decimals of the write-up.

    - accuracy, loss: on the test set after the last epoch, in percent, and in nats per image
    - best_accuracy: on the test set after the best epoch, in percent
    - train_accuracy: of the last epoch's training, in percent
    - last_epochs_std: SD of the test accuracy over the last epochs, in points
    - parameters: number of parameters
    - validation_images: only if these training images were used instead of the test set
    """
    return {
        "accuracy": round(tested.accuracy, 2),
        "loss": round(tested.loss, 4),
        "best_accuracy": max(epoch.test_accuracy for epoch in history),
        "train_accuracy": history[-1].train_accuracy,
        "last_epochs_std": last_epochs_std([epoch.test_accuracy for epoch in history]),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **({"validation_images": validation_images} if validation_images else {}),
    }


def predictions_csv(labels: Labels, predictions: Labels) -> str:
    """Return one row per image as CSV: its index from 0, its label, its prediction."""
    rows = zip(range(len(labels)), labels.tolist(), predictions.tolist(), strict=True)
    return _csv(("image", "label", "prediction"), rows)


def confusion_csv(labels: Labels, predictions: Labels) -> str:
    """Return one row per pair of digits as CSV: label, prediction, number of images."""
    counts = np.bincount(labels * DIGITS + predictions, minlength=DIGITS**2).tolist()
    rows = ((*divmod(pair, DIGITS), count) for pair, count in enumerate(counts))
    return _csv(("actual", "predicted", "count"), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[int]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
