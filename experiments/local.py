"""Experiments on this machine, through DVC's queue."""

from collections.abc import Mapping

from experiments import queue
from experiments.collect import Collector
from experiments.queue import Task
from experiments.signals import Signals
from experiments.status_line import StatusLine
from study.evidence.configurations import Run

POLL = 20  # seconds between two looks at the queue
PENDING = ("Queued", "Running")


def run_all(jobs: int, collector: Collector, remaining: list[str], signals: Signals) -> None:
    """Run the remaining runs, `jobs` at once."""
    pending = clean_queue(collector.runs, collector.revision)
    for name in remaining:
        if name not in pending and signals.received is None:
            print(f"queueing {name}", flush=True)
            queue.add(collector.runs[name])
    watch(collector, remaining, jobs, signals)
    if signals.received is not None:
        print("stopping", flush=True)
        queue.stop()


def failure_hint(name: str) -> str:
    """Return where to find the reason why a run failed."""
    return f"see `dvc queue logs {name}`"


def clean_queue(runs: Mapping[str, Run], revision: str) -> set[str]:
    """Remove failed tasks and tasks based on another commit; return the pending ones.

    Tasks of an earlier call continue if its workers are alive and they are based on this commit.
    """
    tasks = our_tasks(runs)
    current = {task.id for task in tasks if queue.base_commit(task) == revision}
    running = [task for task in tasks if task.state == "Running"]
    if running and (not queue.workers() or any(task.id not in current for task in running)):
        queue.stop()
        tasks = our_tasks(runs)
    pending = [task for task in tasks if task.state in PENDING and task.id in current]
    queue.remove(task for task in tasks if task.state != "Success" and task not in pending)
    return {task.name for task in pending}


def our_tasks(runs: Mapping[str, Run]) -> list[Task]:
    """Return the queue's tasks for these runs."""
    return [task for task in queue.tasks() if task.name in runs]


def watch(collector: Collector, remaining: list[str], jobs: int, signals: Signals) -> None:
    """Keep workers busy, show progress and collect results, until nothing is queued or running."""
    status = StatusLine(collector.runs, remaining)
    succeeded: set[str] = set()
    was_idle = False
    while signals.received is None:
        tasks = our_tasks(collector.runs)
        running, queued, failed, done = (
            [task for task in tasks if task.state == state]
            for state in ("Running", "Queued", "Failed", "Success")
        )
        if {task.id for task in done} != succeeded:
            succeeded = {task.id for task in done}
            remaining = collector.update()
        status.show(
            len(collector.runs) - len(remaining),
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
        # DVC lists running tasks before queued ones: a task that starts in between is in neither
        # list. So an empty queue must be seen twice, unless every remaining run has ended.
        ended = {task.name for task in [*failed, *done]}
        is_idle = not running and not queued
        if is_idle and (was_idle or ended.issuperset(remaining)):
            return
        was_idle = is_idle
        signals.wait(POLL)
