import dataclasses
import json

import numpy as np
import pytest

from study.evaluation import metrics
from study.evaluation.metrics import Metrics
from study.training.history import Epoch
from tests.errors import message_of

EPOCHS = [
    Epoch(0, 0.5, 90.0, 0.123456, 0.2, 95.5),
    Epoch(1, 0.25, 95.25, 0.0625, 0.125, 97.75),
    Epoch(2, 0.2, 96.5, 0.03125, 0.15, 97.5),
]


def test_metrics_are_rounded_as_in_the_write_up() -> None:
    tested = metrics.measure(100 * 9922 / 10_000, 0.02384, EPOCHS, 24, 0)
    assert json.loads(metrics.to_json(tested)) == {
        "accuracy": 99.22,
        "loss": 0.0238,
        "best_accuracy": 97.75,
        "train_accuracy": 96.5,
        "last_epochs_std": 1.233,
        "parameters": 24,
    }


@pytest.mark.parametrize("images", [0, 10_000])
def test_from_json_reads_to_json(images: int) -> None:
    measured = metrics.measure(99.22, 0.0238, EPOCHS, 24, images)
    text = metrics.to_json(measured)
    assert metrics.from_json("metrics/models/m.json", text) == measured
    assert ("validation_images" in text) == bool(images)


def test_every_metric_has_a_name_and_decimals() -> None:
    fields = {field.name for field in dataclasses.fields(Metrics)}
    assert fields - {"validation_images"} == metrics.METRICS.keys()


def test_metrics_may_be_missing_or_unknown() -> None:
    text = json.dumps({"accuracy": 9.8, "f1": 0.5, "train_accuracy": None})
    read = metrics.from_json("metrics/models/m.json", text)
    assert (read.accuracy, read.train_accuracy, read.parameters) == (9.8, None, None)


@pytest.mark.parametrize("value", ['"high"', "NaN", ".inf"])
def test_metrics_that_are_not_numbers_are_an_error(value: str) -> None:
    text = f'{{"accuracy": {value}}}'
    message = message_of(lambda: metrics.from_json("metrics/models/m.json", text))
    assert "metrics/models/m.json" in message
    assert "accuracy" in message


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [([99.0], 0.0), ([99.0, 99.1], 0.071), ([10.0, 99.0, 99.0, 99.0], 0.0)],
)
def test_last_epochs_std_is_the_sample_sd_of_three_epochs(
    accuracies: list[float], expected: float
) -> None:
    assert metrics.last_epochs_std(accuracies) == expected


def test_predictions_and_confusion_counts_are_csv() -> None:
    labels, predictions = np.array([7, 7, 3, 0]), np.array([7, 1, 3, 0])
    text = metrics.predictions_to_csv(labels, predictions)
    assert text.splitlines() == [
        "image,label,prediction", "0,7,7", "1,7,1", "2,3,3", "3,0,0",
    ]  # fmt: skip
    assert metrics.predictions_from_csv(text).tolist() == predictions.tolist()
    text = metrics.confusion_to_csv(labels, predictions)
    rows = text.splitlines()
    assert rows[0] == "actual,predicted,count"
    assert len(rows) == 101
    assert [row for row in rows[1:] if not row.endswith(",0")] == [
        "0,0,1", "3,3,1", "7,1,1", "7,7,1",
    ]  # fmt: skip
    counts = metrics.confusion_from_csv(text)
    assert (counts.shape, counts.sum(), counts[7, 1], counts[1, 7]) == ((10, 10), 4, 1, 0)


def test_predictions_csv_rejects_different_lengths() -> None:
    with pytest.raises(ValueError, match="zip"):
        metrics.predictions_to_csv(np.zeros(3, np.int64), np.zeros(2, np.int64))
