import pytest

from study.evidence import held_out
from tests.evidence.hand_made import rows

FINAL = {"ema_decay": 0.999}
VALIDATION = {"validation_images": 10_000}
TESTED = rows("ours", [99.50, 99.54, 99.52, 99.58, 99.56], model="model_6", values=FINAL)
VALIDATED = [
    *rows("no-ema-val", [99.4, 99.4, 99.5], model="model_6", values=VALIDATION, loss=0.05),
    *rows("ours-val", [99.5, 99.6, 99.6], model="model_6", values=VALIDATION | FINAL, loss=0.04),
    *rows("wider-val", [99.7], model="model_6_wider", values=VALIDATION | FINAL),
]
OTHERS = [*rows("model-4", [99.0, 99.1]), *rows("variant", [99.9, 99.9], model="model_6")]


def test_held_out_compares_validation_runs_with_the_final_recipe() -> None:
    ours, wider, no_ema = held_out.on_validation_images([*OTHERS, *VALIDATED, *TESTED], "ours")
    assert [each.configuration for each in (ours, wider, no_ema)] == [
        "ours-val",
        "wider-val",
        "no-ema-val",
    ]
    assert ours.accuracy.mean == pytest.approx(99.5667, abs=1e-4)
    assert (ours.validation_images, ours.parameters) == (10_000, 7416)
    assert no_ema.accuracy_difference is not None
    assert no_ema.accuracy_difference.mean == pytest.approx(-0.4 / 3)
    # Both SDs are 0.0577; t(4 degrees, 97.5%) is 2.776.
    width = 2.776 * 0.05774 * (2 / 3) ** 0.5
    assert no_ema.accuracy_difference.interval == pytest.approx(
        (-0.4 / 3 - width, -0.4 / 3 + width), abs=1e-4
    )
    assert no_ema.loss_difference is not None
    assert no_ema.loss_difference.mean == pytest.approx(0.01)
    # A single run.
    assert wider.accuracy_difference is None


def test_held_out_without_the_final_recipe_has_no_differences() -> None:
    first, *_ = held_out.on_validation_images(VALIDATED, "ours")
    assert first.configuration == "wider-val"
    assert first.accuracy_difference is None


def test_held_out_without_validation_runs_is_empty() -> None:
    assert held_out.on_validation_images([*OTHERS, *TESTED], "ours") == []
