import pytest

from study.evidence import aggregates
from study.evidence.aggregates import ConfigurationStats
from tests.evidence.hand_made import PUBLISHED, rows

DEFAULTS = {"model-4": "model_4"}


def test_configuration_stats_are_mean_sd_and_interval() -> None:
    runs = rows("changed", [99.00, 99.04, 99.02, 99.08, 99.06])
    (stats,) = aggregates.configuration_stats(runs, PUBLISHED, DEFAULTS)
    assert (stats.configuration, stats.model, stats.default) == ("changed", "model_4", False)
    assert (stats.n, stats.accuracy, stats.published) == (5, 99.04, None)
    # The SD of 0, 2, 4, 6 and 8 is √10; t(4 degrees, 97.5%) is 2.776.
    assert stats.sd == pytest.approx(0.01 * 10**0.5, abs=1e-4)
    assert stats.low == pytest.approx(99.04 - 2.776 * 0.0316 / 5**0.5, abs=1e-4)
    assert stats.gain == pytest.approx(0.03)
    assert stats.accuracies == (99.00, 99.04, 99.02, 99.08, 99.06)


def test_configuration_stats_single_run_has_no_interval() -> None:
    (stats,) = aggregates.configuration_stats(rows("model-4", [99.0], [3]), PUBLISHED, DEFAULTS)
    assert (stats.n, stats.accuracy, stats.default) == (1, 99.0, True)
    assert (stats.low, stats.high, stats.sd) == (None,) * 3
    assert stats.published == PUBLISHED.models["model_4"].accuracy


def test_configuration_stats_are_sorted_by_parameters() -> None:
    runs = [*rows("changed", [99.0], parameters=9000), *rows("model-4", [99.0], parameters=8000)]
    stats = aggregates.configuration_stats(runs, PUBLISHED, DEFAULTS)
    assert [each.parameters for each in stats] == [8000, 9000]


def test_named_configuration_is_none_without_runs() -> None:
    stats = aggregates.configuration_stats(rows("model-4", [99.0]), PUBLISHED, DEFAULTS)
    assert aggregates.named(stats, "model-4") is stats[0]
    assert aggregates.named(stats, "model-6") is None
    assert aggregates.named(stats, None) is None


def test_epoch_bands_are_of_default_configurations() -> None:
    runs = [*rows("changed", [99.5]), *rows("model-4", [99.0, 99.2, 99.1], (3, 1, 2))]
    ((name, (first, last)),) = aggregates.epoch_bands(runs, PUBLISHED, DEFAULTS).items()
    assert name == "model-4"
    assert (first.lowest, first.mean, first.highest) == pytest.approx((99.03, 99.13, 99.23))
    assert (last.epoch, last.n) == (1, 3)
    assert last.published == PUBLISHED.models["model_4"].epochs[1].test_accuracy


def test_wrongly_ranked_has_each_pair() -> None:
    runs = [
        *rows("a", [99.0, 99.2], parameters=1),
        *rows("b", [99.1, 99.3], parameters=2),
        *rows("c", [99.5, 99.5], parameters=3),
    ]
    stats = aggregates.configuration_stats(runs, PUBLISHED, {})
    # One of four pairs of runs is in the wrong order for a and b, none for c.
    assert aggregates.wrongly_ranked(stats) == [1 / 4, 0, 0]
    assert aggregates.wrongly_ranked(stats[:1]) == []


def test_to_csv_leaves_none_empty() -> None:
    stats = aggregates.configuration_stats(rows("model-4", [99.0], [3]), PUBLISHED, DEFAULTS)
    header, row = aggregates.to_csv(ConfigurationStats, stats).splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert (cells["configuration"], cells["accuracy"], cells["low"]) == ("model-4", "99.0", "")
    assert cells["accuracies"] == "99.0"
