"""Writes tests/faults/README.md: each fault, how often it was tried, and the outcome.

A test declares them by its marker, `fault(what, outcome, times)`. Tests with the same `what` share
a row and must have the same outcome. `pytest -m fault --faults FILE` writes the table, in the order
of the tests in their files, whichever processes run them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

HEAD = """\
# Faults

`make faults` writes this table. It injects each fault into the project, on real MNIST with few
images, and checks the outcome. Faults with many tries are injected into the function behind the
command.

| Fault | Times | Outcome |
| --- | --: | --- |
"""


@dataclass
class Row:
    """A fault."""

    what: str
    outcome: str
    place: tuple[str, int]
    """File and line of the first test."""
    times: int = 0
    """Number of tries with this outcome."""
    failed: int = 0
    """Number of tests in which the outcome was another."""
    skipped: set[str] = field(default_factory=set)
    """Reasons why tests were skipped."""

    def cells(self) -> Iterator[str]:
        """Yield the cells of the row."""
        yield self.what
        yield f"{self.times:,}"
        results = [self.outcome] if self.times else []
        if self.failed:
            results.append(f"**{self.failed} tests failed**")
        results += (f"skipped here: {reason}" for reason in sorted(self.skipped))
        yield "; ".join(results)


class Marks:
    """A plugin that puts the marker into the reports of a test, which may come from a worker."""

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Note the arguments of the markers."""
        for item in items:
            for marker in item.iter_markers("fault"):
                what, outcome, *times = marker.args
                item.user_properties.append(("fault", (what, outcome, *times, 1)[:3]))


class Table:
    """A plugin that fills the table while tests run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test did."""
        for name, value in report.user_properties:
            if name != "fault":
                continue
            what, outcome, times = cast(tuple[str, str, int], value)
            file, line, _ = report.location
            row = self.rows.setdefault(what, Row(what, outcome, (file, line or 0)))
            row.place = min(row.place, (file, line or 0))
            if report.skipped and isinstance(report.longrepr, tuple):
                row.skipped.add(report.longrepr[2].removeprefix("Skipped: "))
            elif report.failed:
                row.failed += 1
            elif report.when == "call":
                row.times += times

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the table, unless the tests were interrupted."""
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        rows = sorted(self.rows.values(), key=lambda row: row.place)
        body = "".join(f"| {' | '.join(row.cells())} |\n" for row in rows)
        total = sum(row.times for row in rows)
        self.path.write_text(f"{HEAD}{body}| **All** | {total:,} | |\n", encoding="utf-8")
