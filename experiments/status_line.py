"""The status line of `make experiments`."""

import json
import time
from collections.abc import Collection
from contextlib import suppress
from statistics import mean

from experiments.collect import Collector
from experiments.folder import RATES
from study.base.files import write


class StatusLine:
    """A line with the number of runs done, running, queued and failed, whenever one changes."""

    def __init__(self, collector: Collector) -> None:
        """Count the runs that `collector` has selected."""
        self.runs = collector.runs
        self.total = len(collector.selected)
        self.rates: dict[str, float] = {}
        # After a power cut, it may be there and empty.
        with suppress(FileNotFoundError, ValueError):
            self.rates = json.loads(RATES.read_text("utf-8"))
        self.start = time.monotonic()
        self.starts: dict[str, float] = {}
        self.finished = 0
        self.counts = ""

    def finish(self, name: str) -> None:
        """Record how long a run has taken; `show` has seen it running, and it has succeeded."""
        run, seconds = self.runs[name], time.monotonic() - self.starts[name]
        self.finished += 1
        self.rates[run.configuration] = seconds / run.recipe.epochs
        write(RATES, json.dumps(self.rates))

    def show(
        self, remaining: int, running: Collection[str], queued: Collection[str], failed: int
    ) -> None:
        """Print the counts and the estimated time left, unless the counts have not changed.

        `remaining` is the number of runs without a row, which includes the failed ones.
        """
        now = time.monotonic()
        self.starts = {name: self.starts.get(name, now) for name in running}
        counts = (
            f"{self.total - remaining} of {self.total} done, {len(running)} running,"
            f" {len(queued)} queued, {failed} failed"
        )
        if counts == self.counts:
            return
        self.counts = counts
        if self.finished:
            counts += f", {3600 * self.finished / (now - self.start):.0f} per hour"
        if running and self.rates:
            ahead = sum(map(self.estimate, [*running, *queued]))
            passed = sum(now - start for start in self.starts.values())
            counts += f", about {duration(max(0, ahead - passed) / len(running))} left"
        print(counts, flush=True)

    def estimate(self, name: str) -> float:
        """Return the seconds that a run takes: as its configuration did, or as others on average.

        At least one configuration must have a rate.
        """
        run = self.runs[name]
        rate = self.rates.get(run.configuration) or mean(self.rates.values())
        return rate * run.recipe.epochs


def duration(seconds: float) -> str:
    """Return a time in words, to the minute: `2 h 30 min`."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
