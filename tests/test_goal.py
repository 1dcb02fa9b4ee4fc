from collections.abc import Sequence
from typing import Any

import pytest

from study.evidence import run_table, target, write_up
from study.evidence.run_table import Row
from study.reporting import document
from tests.checkout import ROOT
from tests.recipes import recipe

PUBLISHED = write_up.read(ROOT / "reference/write_up.yaml", ROOT / "reference/epochs.csv")
CHOSEN: dict[str, Any] = {"ema_decay": 0.999}


def runs(
    experiment: str, accuracies: Sequence[float], model: str = "model_6", **values: Any
) -> list[Row]:
    """One run for each of the seeds 1, 2, ..."""
    metrics = {
        "accuracy": 0.0,
        "best_accuracy": 100.0,
        "train_accuracy": 99.0,
        "last_epochs_std": 0.05,
        "parameters": 7442,
    }
    return [
        Row(
            experiment,
            model,
            recipe(seed=seed, **values),
            "5f3a",
            run_table.format_metrics(metrics | {"accuracy": accuracy, "loss": (100 - accuracy) / 100}),
            (accuracy,),
        )
        for seed, accuracy in enumerate(accuracies, start=1)
    ]


TESTED = runs("model-6", [99.50, 99.54, 99.52, 99.58, 99.56], **CHOSEN)
HELD_OUT = [
    *runs("without-average", [99.4, 99.4, 99.5], validation_images=10_000),
    *runs("held-out", [99.5, 99.6, 99.6], validation_images=10_000, **CHOSEN),
    *runs("wider", [99.7], "model_6_wider", validation_images=10_000, **CHOSEN),
]
OTHERS = [
    *runs("model-4", [99.0, 99.1], "model_4"),
    *runs("model-6-other", [99.9, 99.9], validation_images=0),
]


def test_the_outcome_is_of_the_model_as_it_is_on_the_test_set() -> None:
    outcome = target.outcome([*OTHERS, *TESTED], 99.4)
    assert outcome is not None
    assert (outcome.parameters, outcome.lowest, outcome.highest) == (7442, 99.50, 99.58)
    assert outcome.accuracy.n == 5
    assert outcome.accuracy.mean == pytest.approx(99.54)
    # t = 0.14 / (0.0316 / √5) = 9.9 with 4 degrees of freedom: p = 0.00029, one-sided.
    assert outcome.p == pytest.approx(0.00029, abs=0.00001)
    assert target.outcome(TESTED, 99.54).p == pytest.approx(0.5)  # type: ignore[union-attr]
    assert target.outcome(TESTED[:1], 99.4).p == 1  # type: ignore[union-attr]
    assert target.outcome(OTHERS, 99.4) is None


def test_choices_are_those_on_held_out_images_beside_the_chosen_one() -> None:
    chosen, wider, without = target.choices([*OTHERS, *HELD_OUT, *TESTED])
    assert [each.experiment for each in (chosen, wider, without)] == [
        "held-out",
        "wider",
        "without-average",
    ]
    assert chosen.accuracy.mean == pytest.approx(99.5667, abs=1e-4)
    assert (chosen.validation_images, chosen.parameters) == (10_000, 7442)
    assert without.more_accuracy is not None
    assert without.more_accuracy.n == 3
    assert without.more_accuracy.mean == pytest.approx(-0.4 / 3)
    assert without.more_loss is not None
    assert without.more_loss.mean == pytest.approx(0.4 / 300)
    assert wider.more_accuracy is not None
    assert wider.more_accuracy.interval is None


def test_choices_without_a_chosen_one() -> None:
    first, *_ = target.choices(HELD_OUT)
    assert first.experiment == "wider"
    assert first.more_accuracy is None
    assert target.choices([*OTHERS, *TESTED]) == []


def test_the_section_of_the_report() -> None:
    outcome, choices = target.outcome(TESTED, 99.4), target.choices([*HELD_OUT, *TESTED])
    section = document.goal(outcome, choices, {"held-out": "As it is"}, PUBLISHED)
    assert "“we need to get number of parameters below 8000 and accuracy above 99.4%.”" in section
    assert "Model 6 has 7,442 parameters." in section
    assert "99.540 (99.501 to 99.579) %, the mean of 5 seeds" in section
    assert "from 99.50 to 99.58 %, with a standard deviation of 0.032 points" in section
    assert "above 99.4 %, p is < 0.001 (one-sided" in section
    assert "the last 10,000 training images" in section
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines[2:] == [
        "| As it is | 7,442 | 3 | 99.567 | – | 0.0043 | – |",
        "| Wider | 7,442 | 1 | 99.700 | +0.200 | 0.0030 | −0.0020 |",
        "| Without average | 7,442 | 3 | 99.433 | −0.133 (−0.277 to +0.010)"
        " | 0.0057 | +0.0013 (−0.0001 to +0.0028) |",
    ]


def test_the_section_before_any_run() -> None:
    section = document.goal(None, [], {}, PUBLISHED)
    assert section.endswith("no runs yet: `make experiments`.")
    assert document.goal(None, target.choices(HELD_OUT), {}, PUBLISHED) == section
