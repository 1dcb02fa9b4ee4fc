"""A checkout whose study is small: a few of the models, 600 images, one or two epochs."""

import shutil
from collections.abc import Collection
from pathlib import Path

import yaml

from tests.checkout import Checkout

PLAIN, OVERRIDDEN, VARIANT = "model_1", "model_5", "model_4_pooled_first"
MODELS = (PLAIN, OVERRIDDEN, VARIANT)
"""A model without values of its own, one with such values, and a variant whose model is absent."""
TRAIN: dict[str, object] = {"epochs": 1, "batch_size": 128, "dropout": 0.1, "train_images": 600}
OWN: dict[str, dict[str, object]] = {OVERRIDDEN: {"epochs": 2, "rotation": 7}}


def create(folder: Path, mnist: Path, names: Collection[str] = MODELS) -> Checkout:
    """Commit a study of the models `names` in a new checkout. None of its stages has run."""
    checkout = Checkout.create(folder, mnist)
    root = checkout.root
    for model in root.glob("models/model_*.py"):
        if model.stem not in names:
            model.unlink()

    # Everything that stages write into Git; the runs are input.
    runs = (root / "metrics/runs.csv").read_bytes()
    for output in ("metrics", "recipes", "reports", "page"):
        shutil.rmtree(root / output, ignore_errors=True)
    (root / "dvc.lock").unlink(missing_ok=True)
    (root / "metrics").mkdir()
    (root / "metrics/runs.csv").write_bytes(runs)

    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    params["train"] |= TRAIN
    params["models"] = {name: OWN.get(name, {}) for name in names}
    params["candidate"] = next(iter(names))
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    checkout.commit("Reduce the study")
    return checkout
