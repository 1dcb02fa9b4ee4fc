"""What is kept of an evaluation, as rows and figures."""

import csv
import io
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from study.evaluation.evaluator import Evaluation
from study.evaluation.steadiness import last_epochs_std
from study.training.history import Epoch

DIGITS = 10


def metrics(
    network: nn.Sequential, tested: Evaluation, history: Sequence[Epoch], validation_images: int
) -> dict[str, float]:
    """The model's figures, in the documents' units and decimals.

    Accuracies are in percent: of the last epoch, of the best epoch on the test set, and of the
    last epoch's training. The loss is the mean negative log-likelihood on the test set,
    `last_epochs_std` the deviation of test accuracy over the last epochs, in points. Where it was
    evaluated on `validation_images` training images instead, `validation_images` says so.
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


def predictions_csv(labels: Tensor, predictions: Tensor) -> str:
    """One row per image: its number from 0, its label, the digit it was taken for."""
    rows = zip(range(len(labels)), labels.tolist(), predictions.tolist(), strict=True)
    return _csv(("image", "label", "prediction"), rows)


def confusion_csv(labels: Tensor, predictions: Tensor) -> str:
    """One row per pair of digits: how many images of one were taken for the other."""
    counts = torch.bincount(labels * DIGITS + predictions, minlength=DIGITS**2).tolist()
    rows = ((*divmod(pair, DIGITS), count) for pair, count in enumerate(counts))
    return _csv(("actual", "predicted", "count"), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[int]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
