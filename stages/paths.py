"""Paths of all files, relative to the root of the project; dvc.yaml has the same."""

from collections.abc import Collection, Iterator
from pathlib import Path

PARAMS = Path("params.yaml")
VALIDATED = Path("data/validated")
MNIST = Path("data/mnist")
WRITE_UP = Path("reference/write_up.yaml")
EPOCHS = Path("reference/epochs.csv")
EXPERIMENTS = Path("experiments.yaml")
RUNS = Path("metrics/runs.csv")
CLAIMS = Path("claims.yaml")
VERDICTS = Path("metrics/claims.json")
CANDIDATE = Path("metrics/candidate.json")
REPORT = Path("reports/report.md")
FIGURES = Path("reports/figures")
FIGURE_DATA = Path("reports/data")
PAGE = Path("page/index.html")


def recipe(model: str) -> Path:
    """Return the file with the values in effect for a model."""
    return Path(f"recipes/{model}.yaml")


def weights(model: str) -> Path:
    """Return the file of the trained network."""
    return Path(f"weights/{model}.safetensors")


def history(model: str) -> Path:
    """Return the table with one row per epoch of training."""
    return Path(f"metrics/history/{model}.csv")


def log(model: str) -> Path:
    """Return the log of a training, which has timestamps and is not a DVC output."""
    return Path(f"logs/{model}.log")


def checkpoint(model: str) -> Path:
    """Return the state after the last completed epoch, which `evaluate` deletes; not an output."""
    return Path(f"checkpoints/{model}.npz")


def metrics(model: str) -> Path:
    """Return the file of the model's metrics on the images it is evaluated on."""
    return Path(f"metrics/models/{model}.json")


def predictions(model: str) -> Path:
    """Return the table with one row per evaluated image."""
    return Path(f"predictions/{model}.csv")


def confusion(model: str) -> Path:
    """Return the table of how often each digit is predicted as each digit."""
    return Path(f"metrics/confusion/{model}.csv")


def summary(model: str) -> Path:
    """Return the torchsummary table."""
    return Path(f"summaries/{model}.txt")


def receptive_field(model: str) -> Path:
    """Return the receptive-field table."""
    return Path(f"summaries/{model}.csv")


def outputs_of_others(models: Collection[str]) -> Iterator[Path]:
    """Yield the outputs that the pipeline has written for models that are not in `models`."""
    outputs = (recipe, weights, history, metrics, confusion, predictions, summary, receptive_field)
    for own in (output("*") for output in outputs):
        for path in sorted(own.parent.glob(own.name)):
            if path.stem not in models and path.is_file():
                yield path
