"""tests/faults/README.md: what was done to the project, how often, and what came of it.

A test says it by its marker, `fault(what, outcome, times)`. Tests that share the first share a row,
and say the same of the outcome. `pytest -m fault --faults FILE` writes the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HEAD = """\
# Faults

Written by `make faults`, which does each of these, on real MNIST with few images, and checks the
outcome: to the real commands, or, where it is tried many times, to the function behind them.

| Fault | Times | What came of it |
| --- | --: | --- |
"""


@dataclass
class Row:
    """A fault."""

    outcome: str
    times: int = 0
    """How often it was done and came out as said."""
    not_tried: list[str] = field(default_factory=list)
    """Why not, where it was not."""
    failed: int = 0

    def cells(self) -> Iterator[str]:
        """How often, and what came of it."""
        yield f"{self.times:,}"
        told = [self.outcome] if self.times else []
        if self.failed:
            told.append(f"**not so {self.failed} times**")
        told += [f"not tried here: {reason}" for reason in dict.fromkeys(self.not_tried)]
        yield "; ".join(told)


class Table:
    """A plugin that fills the table while the tests run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        self.markers: dict[str, tuple[str, int]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Rows in the order of the tests."""
        for item in session.items:
            for marker in item.iter_markers("fault"):
                what, outcome, *times = marker.args
                self.rows.setdefault(what, Row(outcome))
                self.markers[item.nodeid] = (what, *times, 1)[:2]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test did."""
        if report.nodeid not in self.markers:
            return
        what, times = self.markers[report.nodeid]
        row = self.rows[what]
        if report.skipped and isinstance(report.longrepr, tuple):
            row.not_tried.append(report.longrepr[2].removeprefix("Skipped: "))
        elif report.failed:
            row.failed += 1
        elif report.when == "call":
            row.times += times

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write it, unless the tests were stopped before their end."""
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        body = "".join(
            f"| {what} | {' | '.join(row.cells())} |\n" for what, row in self.rows.items()
        )
        total = sum(row.times for row in self.rows.values())
        self.path.write_text(f"{HEAD}{body}| **All** | {total:,} | |\n", encoding="utf-8")
