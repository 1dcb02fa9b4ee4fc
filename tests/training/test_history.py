from study.training import history
from study.training.history import Epoch

EPOCHS = [
    Epoch(0, 0.5, 90.0, 0.123456, 0.2, 95.5),
    Epoch(1, 0.25, 95.25, 0.0625, 0.125, 97.75),
]


def test_history_csv_roundtrip() -> None:
    text = history.to_csv(EPOCHS)
    assert text.splitlines() == [
        "epoch,train_loss,train_accuracy,last_batch_loss,test_loss,test_accuracy",
        "0,0.5000,90.00,0.123456,0.2000,95.50",
        "1,0.2500,95.25,0.062500,0.1250,97.75",
    ]
    assert history.from_csv(text) == EPOCHS
