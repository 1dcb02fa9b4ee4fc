"""A checkout whose study is Model 3 alone: every kind of stage, in a fraction of the time."""

from pathlib import Path

from tests import small_study
from tests.checkout import Checkout

MODEL = "model_3"
WEIGHTS = f"weights/{MODEL}.safetensors"
HISTORY = f"metrics/history/{MODEL}.csv"
SUMMARIZE, TRAIN, EVALUATE = (f"{stage}@{MODEL}" for stage in ("summarize", "train", "evaluate"))
STAGES = (
    *("recipes", "download", SUMMARIZE, TRAIN, EVALUATE),
    *("claims", "report", "page", "candidate"),
)


def create(folder: Path, mnist: Path) -> Checkout:
    """Commit the study of Model 3 in a new checkout. None of its stages has run."""
    checkout = small_study.create(folder, mnist, [MODEL])
    # Evaluation takes a fraction of the time that it takes on the 10,000 test images.
    checkout.set({"train.validation_images": 500})
    checkout.commit("Evaluate on validation images")
    return checkout
