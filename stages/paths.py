"""Where everything lies, relative to the root of the repository; dvc.yaml says the same to DVC."""

from pathlib import Path

PARAMETERS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
VALIDATED = Path("data/validated")
MNIST = Path("data/mnist")
DOCUMENTS = Path("reference/documents.yaml")
EPOCHS = Path("reference/epochs.csv")
EXPERIMENTS = Path("experiments.yaml")
LEDGER = Path("metrics/experiments.csv")
CLAIMS = Path("claims.yaml")
VERDICTS = Path("metrics/claims.json")
CANDIDATE = Path("metrics/candidate.json")
REPORT = Path("reports/report.md")
FIGURES = Path("reports/figures")
FIGURE_DATA = Path("reports/data")


def weights(model: str) -> Path:
    """The trained network."""
    return Path(f"weights/{model}.safetensors")


def history(model: str) -> Path:
    """One row per epoch of training."""
    return Path(f"metrics/history/{model}.csv")


def log(model: str) -> Path:
    """What training said, with the time of day; for people, not for DVC."""
    return Path(f"logs/{model}.log")


def checkpoint(model: str) -> Path:
    """A training after its last whole epoch, until it is evaluated; nobody's output."""
    return Path(f"checkpoints/{model}.pt")


def metrics(model: str) -> Path:
    """The model's figures on the test set."""
    return Path(f"metrics/{model}.json")


def predictions(model: str) -> Path:
    """One row per test image."""
    return Path(f"predictions/{model}.csv")


def confusion(model: str) -> Path:
    """How often each digit was taken for each."""
    return Path(f"metrics/confusion/{model}.csv")


def summary(model: str) -> Path:
    """The torchsummary table."""
    return Path(f"summaries/{model}.txt")


def receptive_field(model: str) -> Path:
    """The receptive-field table."""
    return Path(f"summaries/{model}.csv")
