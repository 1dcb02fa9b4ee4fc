"""The history of a training: the results of each epoch, as rows of a CSV file."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Epoch:
    """Results of one pass over the training images and of the evaluation after it.

    Accuracies are in percent, losses are mean negative log-likelihoods in nats per image. Training
    results are averages over the epoch, with dropout, while the network learns. Test results are on
    the validation images if the recipe has any.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    last_batch_loss: float
    test_loss: float
    test_accuracy: float


DECIMALS = {
    "epoch": 0,
    "train_loss": 4,
    "train_accuracy": 2,
    "last_batch_loss": 6,
    "test_loss": 4,
    "test_accuracy": 2,
}


def to_csv(history: Iterable[Epoch]) -> str:
    """Return a header and one row per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, DECIMALS, lineterminator="\n")
    writer.writeheader()
    for epoch in history:
        writer.writerow({key: f"{value:.{DECIMALS[key]}f}" for key, value in asdict(epoch).items()})
    return text.getvalue()


def from_csv(text: str) -> list[Epoch]:
    """Return the epochs in the text of `to_csv`."""
    return [
        Epoch(int(row.pop("epoch")), **{key: float(value) for key, value in row.items()})
        for row in csv.DictReader(io.StringIO(text))
    ]
