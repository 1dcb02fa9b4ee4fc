"""The status line of `make experiments`."""

import time
from collections.abc import Iterable, Mapping

from study.evidence.configurations import Run


class StatusLine:
    """A line with the number of runs done, running, queued and failed, whenever one changes."""

    def __init__(self, runs: Mapping[str, Run], remaining: Iterable[str]) -> None:
        """`remaining` names the runs without a result."""
        self.runs = runs
        self.epochs = self.count_epochs(remaining)
        self.start = time.monotonic()
        self.counts = ""

    def show(self, done: int, running: Iterable[str], queued: Iterable[str], failed: int) -> None:
        """Print the counts and the estimated time left, unless the counts have not changed."""
        running, queued = list(running), list(queued)
        counts = (
            f"{done} of {len(self.runs)} done, {len(running)} running, {len(queued)} queued,"
            f" {failed} failed"
        )
        if counts == self.counts:
            return
        self.counts = counts
        ahead = self.count_epochs([*running, *queued])
        left = ""
        if 0 < ahead < self.epochs:
            # A run in progress counts as a whole one: it is one of many.
            passed = time.monotonic() - self.start
            left = f", about {duration(passed * ahead / (self.epochs - ahead))} left"
        print(counts + left, flush=True)

    def count_epochs(self, names: Iterable[str]) -> int:
        """Return the total number of epochs of runs."""
        return sum(self.runs[name].recipe.epochs for name in names)


def duration(seconds: float) -> str:
    """Return a time in words, to the minute: `2 h 30 min`."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
