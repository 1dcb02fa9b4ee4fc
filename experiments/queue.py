"""DVC's queue of experiments, from outside: its commands, its states, its processes."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import dvc.api
import psutil

from study.errors import UserError
from study.experiments import Run

T = TypeVar("T")

ATTEMPTS = 5
FOLDERS = Path(".dvc/tmp/exps")
"""Where DVC gives each running experiment a folder of its own."""


@dataclass(frozen=True)
class Task:
    """An experiment in the queue."""

    id: str
    name: str
    state: str
    """Queued, Running, Failed or Success."""


@dataclass(frozen=True)
class Status:
    """What the queue holds, from whatever commit, and how many workers are alive."""

    tasks: tuple[Task, ...]
    workers: int


def status() -> Status:
    """Ask DVC for the state of the queue."""
    text = call("queue", "status")
    tasks = re.findall(r"(?m)^([0-9a-f]{7}) +(\S+) .* (\w+) *$", text)
    workers = re.search(r"(\d+) active, (\d+) idle", text)
    if workers is None:
        raise UserError(f"dvc queue status: says nothing of workers: {text.strip()}")
    return Status(tuple(Task(*task) for task in tasks), int(workers[1]) + int(workers[2]))


def experiments() -> list[dict[str, Any]]:
    """Return what DVC knows of each experiment on the commit that is checked out.

    Metrics are keyed `metrics/M.json:accuracy`, parameters `train.dropout`. Those that are in the
    queue have their task's id as `rev`, and their state as `State`.
    """
    return [record for record in attempt(dvc.api.exp_show) if record["Experiment"]]


def add(run: Run) -> None:
    """Queue a run: of the stages, only what its model's evaluation needs."""
    changes = (part for override in run.overrides for part in ("-S", override))
    call("exp", "run", "--queue", "--name", run.name, *changes, f"evaluate@{run.model}")


def remove(tasks: Iterable[Task]) -> None:
    """Take tasks that do not run out of the queue."""
    if ids := [task.id for task in tasks]:
        call("queue", "remove", *ids)


def start(jobs: int) -> None:
    """See to it that so many workers are there. They end when there is nothing left to do."""
    call("queue", "start", "--jobs", str(jobs))


def stop() -> None:
    """End the workers and all that they run. What they ran counts as failed, what waits stays.

    Raises UserError when they are still there after two minutes.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        call("queue", "stop", "--kill")
        # DVC kills its own process of an experiment alone. The training that it started would go
        # on; and a worker may take up the next experiment before it hears that it is to end.
        for process in psutil.process_iter(["cwd"]):
            folder = process.info["cwd"]
            if folder and Path(folder).is_relative_to(FOLDERS.resolve()):
                process.kill()
        now = status()
        if not now.workers and not any(task.state == "Running" for task in now.tasks):
            return
        time.sleep(1)
    raise UserError("DVC's workers do not end; `dvc queue status` shows them")


def call(*arguments: str) -> str:
    """Run a DVC command and return what it wrote. Raises UserError when it fails again and again.

    Ctrl-C does not reach it: half a command could leave the workspace changed.
    """

    def run() -> str:
        # To a file: workers inherit where it goes, and a pipe would stay open as long as they live.
        with TemporaryFile("w+", encoding="utf-8") as output:
            done = subprocess.run(
                [sys.executable, "-m", "dvc", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            output.seek(0)
            text = output.read()
        if done.returncode:
            raise UserError(f"dvc {' '.join(arguments)}: {text.strip().rpartition(chr(10))[2]}")
        return text

    return attempt(run)


def attempt(do: Callable[[], T]) -> T:
    """Return what `do` returns, in the end.

    Workers write what DVC reads: it can find a lock taken, a file half there, a folder gone.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return do()
        except Exception:
            time.sleep(1)
    return do()
