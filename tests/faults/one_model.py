"""A checkout whose study is Model 3 alone: every kind of stage, in a fraction of the time."""

from pathlib import Path

import yaml

from tests.checkout import Checkout

MODEL = "model_3"
STAGES = (
    "validate",
    "download",
    f"summarize@{MODEL}",
    f"train@{MODEL}",
    f"evaluate@{MODEL}",
    "claims",
    "report",
    "candidate",
)


def create(folder: Path, mnist: Path) -> Checkout:
    """Make one, in which nothing has run; the other models' metrics are those in Git."""
    checkout = Checkout.create(folder, mnist)
    pipeline = yaml.safe_load((checkout.root / "dvc.yaml").read_text("utf-8"))
    stages = pipeline["stages"]
    for stage in ("summarize", "evaluate"):
        stages[stage]["foreach"] = [MODEL]
    stages["train"]["foreach"] = {MODEL: stages["train"]["foreach"][MODEL]}
    stages["report"]["cmd"] = f"exec python -m stages.report ${{equivalence_margin}} {MODEL}"
    (checkout.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")

    values = yaml.safe_load((checkout.root / "params.yaml").read_text("utf-8"))
    del values["models"]
    values["train"] |= {"epochs": 1, "train_images": 600}
    values["candidate"] = MODEL
    (checkout.root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    checkout.commit("One model, few images")
    return checkout
