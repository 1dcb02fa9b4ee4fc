"""Experiments on this machine: workers, each of which executes runs in a workspace of its own."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

from experiments import dvc, folder, workspace
from experiments.collect import Collector
from experiments.signals import Signals
from experiments.status_line import StatusLine
from stages import paths
from study.evidence.configurations import Run

POLL = 0.5  # seconds between two looks at the signals


def run_all(jobs: int, collector: Collector, remaining: list[str], signals: Signals) -> None:
    """Run the remaining runs in their order, `jobs` at once."""
    status = StatusLine(collector)
    queued, failed = deque(remaining), 0
    running: dict[str, Worker] = {}
    with workers(collector.revision) as new_worker:
        at_once = min(jobs, len(remaining))
        workspace.check_room(at_once)
        idle = [new_worker(f"{number}") for number in range(at_once)]
        while signals.received is None:
            while idle and queued:
                name = queued.popleft()
                running[name] = idle.pop(0)
                running[name].start(collector.runs[name])
            status.show(len(remaining), running, queued, failed)
            if not running:
                return
            ready, _, _ = select([each.answers for each in running.values()], [], [], POLL)
            for name in [name for name, worker in running.items() if worker.answers in ready]:
                worker = running.pop(name)
                if worker.has_succeeded():
                    collector.fetch(workspace.clone_root(worker.name), name)
                    remaining = collector.update()
                    if has_trained(name):
                        status.finish(name)
                    idle.append(worker)
                else:
                    failed += 1
                    # The run may have left the workspace in any state.
                    worker.kill()
                    if queued:
                        idle.append(new_worker(worker.name))
        print("stopping", flush=True)


def has_trained(name: str) -> bool:
    """Return True if a finished run has trained; otherwise DVC had its outputs in its cache."""
    return "\nRunning stage 'train@" in folder.log(name).read_text("utf-8", "replace")


@contextmanager
def workers(revision: str) -> Iterator[Callable[[str], "Worker"]]:
    """Yield a function that starts a worker for a commit; at the end, remove all workers.

    Only the runs in progress are lost: DVC's cache and Git here have the others.
    """
    workspace.remove_all()
    cache = dvc.cache()
    started: dict[str, Worker] = {}

    def start(name: str) -> Worker:
        started[name] = Worker(name, workspace.create(name, revision, cache))
        return started[name]

    try:
        yield start
    finally:
        for worker in started.values():
            worker.kill()
        workspace.remove_all()


class Worker:
    """A process that executes runs, one at a time, in a workspace."""

    def __init__(self, name: str, study: Path) -> None:
        """Start the process; `study` is the study's folder in the workspace."""
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "experiments.worker", str(os.getpid())],
            cwd=study,
            env=os.environ | {"MNIST_FOLDER": str(paths.MNIST.absolute())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C does not reach it
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def start(self, run: Run) -> None:
        """Start a run."""
        log = folder.log(run.name).absolute()
        log.write_text("the worker has ended before it began this run\n", encoding="utf-8")
        with suppress(BrokenPipeError):  # a process that has ended gives no answer, either
            print(json.dumps([str(log), dvc.exp_run(run)]), file=self.requests, flush=True)

    def has_succeeded(self) -> bool:
        """Wait for the run's end; return True if DVC has committed it in the workspace."""
        return self.answers.readline() == "0\n"

    def kill(self) -> None:
        """Kill the process and all that it has started, unless that has been done."""
        # This closes the pipes; one that has ended may have left a request unread.
        with suppress(BrokenPipeError, ProcessLookupError), self.process:
            if self.process.returncode is None:  # otherwise, another process may have its number
                os.killpg(self.process.pid, signal.SIGKILL)
