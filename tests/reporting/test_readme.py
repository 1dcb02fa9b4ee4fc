"""The generated parts of README, for values that a later study may have."""

import csv
import dataclasses
from typing import Any

import pytest

from study.evidence import aggregates
from study.evidence.write_up import Target
from study.reporting import readme
from study.reporting.readme import Statistics
from tests.reporting.report_inputs import stats

TARGET = Target(parameters=8_000, accuracy=99.4)


def statistics(**values: Any) -> Statistics:
    """Return a row of reports/data/accuracy.csv, as it is read."""
    each = dataclasses.replace(stats("model-6"), **values)
    text = aggregates.to_csv(aggregates.ConfigurationStats, [each])
    (found,) = csv.DictReader(text.splitlines())
    return found


@pytest.mark.parametrize(
    ("accuracy", "parameters", "reached"),
    [
        (99.41, 7_999, True),
        (99.4, 7_999, False),
        (99.41, 8_000, False),
        (float("nan"), 7_999, False),
    ],
)
def test_target_finding_says_if_the_mean_reaches_the_target(
    accuracy: float, parameters: int, reached: bool
) -> None:
    final = statistics(accuracy=accuracy, parameters=parameters, n=10, sd=0.02)
    text = readme.target_finding([statistics(configuration="model-1"), final], "model-6", TARGET)
    assert text is not None
    assert ("not reached" in text) is not reached
    assert all(part in text for part in ("99.4%", "8,000", f"{parameters:,}", "± 0.02", "10"))


def test_target_finding_of_one_run_has_no_sd() -> None:
    text = readme.target_finding([statistics(accuracy=99.5, n=1, sd=None)], "model-6", TARGET)
    assert text is not None
    assert "99.50%" in text
    assert "±" not in text


@pytest.mark.parametrize("final", [None, "model-7"])
def test_target_finding_without_runs_is_left_out(final: str | None) -> None:
    assert readme.target_finding([statistics()], final, TARGET) is None


def test_claims_finding_counts_each_verdict() -> None:
    text = readme.claims_finding(["supported", "inconclusive", "supported"])
    for part in ("3 claims", "2 supported", "0 contradicted", "1 inconclusive"):
        assert part in text
    assert "0 claims" in readme.claims_finding([])


def test_seeds_finding_shows_the_range_of_the_sd() -> None:
    every = [statistics(sd=0.02), statistics(sd=0.178, published=98.5), statistics(sd=None)]
    text = readme.seeds_finding(every)
    assert text is not None
    assert all(part in text for part in ("0.02 to 0.18", "98.50"))
    published_nowhere = readme.seeds_finding(every[:1])
    assert published_nowhere is not None
    assert "%" not in published_nowhere


def test_seeds_finding_without_repeated_runs_is_left_out() -> None:
    assert readme.seeds_finding([statistics(sd=None)]) is None
    assert readme.seeds_finding([]) is None
