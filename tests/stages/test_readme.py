"""The generated tables of README, for values that a later study may have."""

from dataclasses import replace

from stages import readme
from tests.reporting.report_inputs import number, stats


def test_table_has_configurations_next_to_the_write_up() -> None:
    configurations = [
        stats("model-1", published=98.98),
        replace(stats("model-3", 98.6, 3928, published=98.51), published_best=True),
        stats("model-6", 99.57, 7954, n=1),
    ]
    numbers = [number("accuracy", "model-1", reproduced=False), number("best_accuracy", "model-3")]
    *_, first, second, third = readme.table(configurations, numbers).splitlines()
    assert first == "| Model 1 | 14,620 | 99.04 ± 0.05 | 5 | 98.98 | no |"
    assert second.endswith("| 98.60 ± 0.05 | 5 | 98.51 (best epoch; ours: 98.63) | yes |")
    assert third == "| Model 6 | 7,954 | 99.57 | 1 | – | – |"


def test_table_says_nothing_of_losses() -> None:
    (*_, only) = readme.table([stats("model-1")], [number("loss", "model-1")]).splitlines()
    assert only.endswith("| – | – |")


def test_record_has_its_runs_with_three_decimals() -> None:
    each = replace(stats("model-6", 99.57, 7954, n=2), accuracies=(99.55, 99.59))
    *_, only = readme.record_table([(each, "2026-11-27", "5f3a", "wider")]).splitlines()
    assert only == (
        "| 2026-11-27 (`5f3a`) | Model 6: wider | 7,954 | 15 | 2 | 99.570 ± 0.028 |"
        " 99.316 to 99.824 |"
    )
