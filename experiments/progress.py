"""How far it is, for the person who waits."""

import time
from collections.abc import Iterable, Mapping

from study.evidence.configurations import Run


class Progress:
    """One line on how many are done, running, queued and failed, whenever that changes."""

    def __init__(self, runs: Mapping[str, Run], left: Iterable[str]) -> None:
        """`left` are those of the runs that have no result yet."""
        self.runs = runs
        self.epochs = self.sum(left)
        self.begun = time.monotonic()
        self.said = ""

    def show(self, done: int, running: Iterable[str], queued: Iterable[str], failed: int) -> None:
        """Print the line, with the time left, unless it would say the same again."""
        running, queued = list(running), list(queued)
        line = (
            f"{done} of {len(self.runs)} done, {len(running)} running, {len(queued)} queued,"
            f" {failed} failed"
        )
        if line == self.said:
            return
        self.said = line
        ahead = self.sum([*running, *queued])
        if 0 < ahead < self.epochs:
            # What runs counts as if it had just begun: it is one of many.
            passed = time.monotonic() - self.begun
            line += f", about {duration(passed * ahead / (self.epochs - ahead))} left"
        print(line, flush=True)

    def sum(self, names: Iterable[str]) -> int:
        """How many epochs runs have in all."""
        return sum(self.runs[name].recipe.epochs for name in names)


def duration(seconds: float) -> str:
    """Return a time in words, to the minute."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
