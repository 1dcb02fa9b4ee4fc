"""Experiments on this machine, through DVC's queue."""

from collections.abc import Mapping

from experiments import queue
from experiments.progress import Progress
from experiments.queue import Task
from experiments.results import Results
from experiments.signals import Signals
from study.evidence.configurations import Run

POLL = 20  # seconds between two looks at the queue
WAITING = ("Queued", "Running")


def work(jobs: int, results: Results, left: list[str], signals: Signals) -> None:
    """Run what is left, `jobs` at once."""
    pending = tidy(results.runs, results.revision)
    for name in left:
        if name not in pending and signals.received is None:
            print(f"queueing {name}", flush=True)
            queue.add(results.runs[name])
    watch(results, left, jobs, signals)
    if signals.received is not None:
        print("stopping", flush=True)
        queue.stop()


def why(name: str) -> str:
    """Where it stands why a run failed."""
    return f"`dvc queue logs {name}` shows why"


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
    progress = Progress(results.runs, left)
    succeeded: set[str] = set()
    quiet = False
    while signals.received is None:
        tasks = mine(results.runs)
        running, queued, failed, done = (
            [task for task in tasks if task.state == state]
            for state in ("Running", "Queued", "Failed", "Success")
        )
        if {task.id for task in done} != succeeded:
            succeeded = {task.id for task in done}
            left = results.update()
        progress.show(
            len(results.runs) - len(left),
            (task.name for task in running),
            (task.name for task in queued),
            len(failed),
        )
        workers = len(queue.workers()) if running or queued else 0
        if running and not workers:
            queue.stop()
        elif queued and workers < jobs:
            # At first, and again: workers can stop before the queue is empty (DVC's issue 10562).
            queue.start(jobs)
        # DVC looks for what runs before it looks for what waits: what is taken up in between is
        # in neither state. So that nothing is there counts the second time.
        ended = {task.name for task in [*failed, *done]}
        was_quiet, quiet = quiet, not running and not queued
        if quiet and (was_quiet or ended.issuperset(left)):
            return
        signals.wait(POLL)
