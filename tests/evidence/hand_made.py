"""Rows of metrics/runs.csv, and what tests of several modules compare them with."""

from collections.abc import Sequence
from typing import Any

from study.evidence import run_table, write_up
from study.evidence.run_table import Row
from tests.checkout import ROOT
from tests.recipes import recipe

PUBLISHED = write_up.read(ROOT / "reference/write_up.yaml", ROOT / "reference/epochs.csv")
METRICS = {
    "loss": 0.03,
    "train_accuracy": 98.0,
    "last_epochs_std": 0.05,
    "parameters": 7416,
}


def rows(
    configuration: str,
    accuracies: Sequence[float],
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    model: str = "model_4",
    values: dict[str, Any] | None = None,
    **metrics: float,
) -> list[Row]:
    """Return one row per seed and accuracy; the best epoch, the first of two, is 0.03 better."""
    return [
        Row(
            configuration=configuration,
            model=model,
            recipe=recipe(epochs=2, seed=seed, **(values or {})),
            revision="5f3a",
            metrics=run_table.format_metrics(
                METRICS | {"accuracy": accuracy, "best_accuracy": accuracy + 0.03} | metrics
            ),
            test_accuracies=(accuracy + 0.03, accuracy),
        )
        for seed, accuracy in zip(seeds, accuracies, strict=False)
    ]
