import json

import numpy as np
import pytest
from torch import nn

from study.evaluation import metrics
from study.evaluation.evaluator import Evaluation
from study.evaluation.steadiness import last_epochs_std
from study.training.history import Epoch

EPOCHS = [
    Epoch(0, 0.5, 90.0, 0.123456, 0.2, 95.5),
    Epoch(1, 0.25, 95.25, 0.0625, 0.125, 97.75),
    Epoch(2, 0.2, 96.5, 0.03125, 0.15, 97.5),
]


def test_metrics_are_rounded_as_in_the_write_up() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    tested = Evaluation(0.02384, np.zeros(10_000, np.int64), 9922)
    assert metrics.metrics(network, tested, EPOCHS, 0) == {
        "accuracy": 99.22,
        "loss": 0.0238,
        "best_accuracy": 97.75,
        "train_accuracy": 96.5,
        "last_epochs_std": 1.233,
        "parameters": 24,
    }
    validated = metrics.metrics(network, tested, EPOCHS, 10_000)
    assert validated == metrics.metrics(network, tested, EPOCHS, 0) | {"validation_images": 10_000}
    assert json.dumps(validated)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [([99.0], 0.0), ([99.0, 99.1], 0.071), ([10.0, 99.0, 99.0, 99.0], 0.0)],
)
def test_last_epochs_std_is_the_sample_sd_of_three_epochs(
    accuracies: list[float], expected: float
) -> None:
    assert last_epochs_std(accuracies) == expected


def test_predictions_and_confusion_counts_are_csv() -> None:
    labels, predictions = np.array([7, 7, 3, 0]), np.array([7, 1, 3, 0])
    assert metrics.predictions_csv(labels, predictions).splitlines() == [
        "image,label,prediction", "0,7,7", "1,7,1", "2,3,3", "3,0,0",
    ]  # fmt: skip
    rows = metrics.confusion_csv(labels, predictions).splitlines()
    assert rows[0] == "actual,predicted,count"
    assert len(rows) == 101
    assert [row for row in rows[1:] if not row.endswith(",0")] == [
        "0,0,1", "3,3,1", "7,1,1", "7,7,1",
    ]  # fmt: skip


def test_predictions_csv_rejects_different_lengths() -> None:
    with pytest.raises(ValueError, match="zip"):
        metrics.predictions_csv(np.zeros(3, np.int64), np.zeros(2, np.int64))
