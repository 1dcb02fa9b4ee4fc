"""Run what experiments.yaml asks for and the ledger lacks, through DVC's queue."""

import fcntl
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from experiments import files, git, queue
from experiments.queue import Task
from experiments.results import Results
from stages import paths
from stages.command import ArgumentParser, run
from study import ledger
from study.errors import UserError, shown
from study.experiments import Run
from study.files import replace

LOCK = Path(".dvc/tmp/experiments.lock")
POLL = 20  # seconds between two looks at the queue
WAITING = ("Queued", "Running")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP, kept until there is a good moment to stop."""

    def __init__(self) -> None:
        """Keep them from now on."""
        self.received: int | None = None
        for number in SIGNALS:
            # nohup lets a program outlive its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.receive)

    def receive(self, number: int, _: object) -> None:
        """Keep the signal."""
        self.received = number

    def wait(self, seconds: float) -> None:
        """Let so much time pass, unless a signal is there."""
        end = time.monotonic() + seconds
        while self.received is None and time.monotonic() < end:
            time.sleep(0.1)


def main() -> None:
    """Run what is left to do; end with status 1 when some of it failed."""
    parser = ArgumentParser()
    parser.add_argument("--jobs", required=True)
    jobs = parser.parse_args().jobs
    if not jobs.isdecimal() or int(jobs) == 0:
        raise UserError(f"JOBS = {shown(jobs)}: give a whole number, at least 1")
    runs = files.runs()
    check_workspace()
    with lock():
        signals = Signals()
        failed = work(runs, int(jobs), signals)
    if signals.received is not None:
        print(f"stopped; {len(failed)} of {len(runs)} to go: `make experiments` goes on")
        sys.exit(128 + signals.received)
    for name in failed:
        print(f"failed: {name}, {runs[name].description}: `dvc queue logs {name}` shows why")
    sys.exit(1 if failed else 0)


def check_workspace() -> None:
    """Raise UserError when there is something that DVC would put into every experiment."""
    changed = git.call(
        "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{paths.LEDGER}"
    )
    if changed:
        name = changed.splitlines()[0][3:]
        raise UserError(
            f"{name}: changed and not committed, so DVC would put it into each experiment; commit"
            " it or `git restore` it"
        )


@contextmanager
def lock() -> Iterator[None]:
    """Keep a second one out: both would queue the same runs. Raises UserError."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("make experiments: is running already; let it, or stop it") from None
        yield


def work(runs: Mapping[str, Run], jobs: int, signals: Signals) -> list[str]:
    """Run what has no valid row; return the names of those that have none in the end."""
    revision = git.call("rev-parse", "HEAD").strip()
    results = Results(runs, revision)
    left = update(results)
    if not left:
        return []
    pending = tidy(runs, revision)
    for name in left:
        if name not in pending and signals.received is None:
            print(f"queueing {name}", flush=True)
            queue.add(runs[name])
    watch(results, left, jobs, signals)
    if signals.received is not None:
        print("stopping", flush=True)
        queue.stop()
    return update(results)


def update(results: Results) -> list[str]:
    """Write the ledger anew with what is finished; return the runs that have no row."""
    rows = ledger.merge([*files.rows(), *results.rows()], results.runs)
    if rows or paths.LEDGER.exists():
        with replace(paths.LEDGER) as path:
            path.write_text(ledger.to_csv(rows.values()), encoding="utf-8")
    return [name for name in results.runs if name not in rows]


def tidy(runs: Mapping[str, Run], revision: str) -> set[str]:
    """Take out of the queue what failed and what is of another commit; return what it still holds.

    What an earlier call left running goes on, when its workers are alive and it is of this commit.
    """
    tasks = mine(runs)
    here = {task.id for task in tasks if queue.commit(task) == revision}
    running = [task for task in tasks if task.state == "Running"]
    if running and (not queue.workers() or any(task.id not in here for task in running)):
        queue.stop()
        tasks = mine(runs)
    waiting = [task for task in tasks if task.state in WAITING and task.id in here]
    queue.remove(task for task in tasks if task.state != "Success" and task not in waiting)
    return {task.name for task in waiting}


def mine(runs: Mapping[str, Run]) -> list[Task]:
    """Return what the queue holds of these runs."""
    return [task for task in queue.tasks() if task.name in runs]


def watch(results: Results, left: list[str], jobs: int, signals: Signals) -> None:
    """Keep workers at it, show progress and write the ledger, until nothing waits or runs."""
    runs = results.runs
    begun = time.monotonic()
    epochs = sum(runs[name].recipe.epochs for name in left)
    succeeded: set[str] = set()
    said = ""
    while signals.received is None:
        tasks = mine(runs)
        states = Counter(task.state for task in tasks)
        done = {task.id for task in tasks if task.state == "Success"}
        if done != succeeded:
            succeeded = done
            left = update(results)
        counts = (
            f"{len(runs) - len(left)} of {len(runs)} done, {states['Running']} running,"
            f" {states['Queued']} queued, {states['Failed']} failed"
        )
        if counts != said:
            said = counts
            ahead = sum(runs[task.name].recipe.epochs for task in tasks if task.state in WAITING)
            passed = time.monotonic() - begun
            if 0 < ahead < epochs:
                counts += f", about {duration(passed * ahead / (epochs - ahead))} left"
            print(counts, flush=True)
        if not any(states[state] for state in WAITING):
            return
        workers = len(queue.workers())
        if states["Running"] and not workers:
            queue.stop()
        elif states["Queued"] and workers < jobs:
            # At first, and again: workers can stop before the queue is empty (DVC's issue 10562).
            queue.start(jobs)
        signals.wait(POLL)


def duration(seconds: float) -> str:
    """Return a time in words, to the minute."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"


if __name__ == "__main__":
    run(main)
