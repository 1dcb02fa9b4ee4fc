"""DVC's queue of experiments, from outside: its commands, its states, its processes."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from experiments import git
from study.base.errors import UserError
from study.evidence.configurations import Run

ATTEMPTS = 5
FOLDERS = Path(".dvc/tmp/exps")
"""Where DVC gives each experiment that runs a folder of its own."""


@dataclass(frozen=True)
class Task:
    """An experiment in the queue."""

    id: str
    name: str
    state: str
    """Queued, Running, Failed or Success."""


def tasks() -> list[Task]:
    """Return what the queue holds, from whatever commit."""
    found = re.findall(r"(?m)^([0-9a-f]{7}) +(\S+) .* (\w+) *$", call("queue", "status"))
    return [Task(*task) for task in found]


def workers() -> list[psutil.Process]:
    """Return DVC's workers here.

    `dvc queue status` counts those that would take up another experiment. One that is to end after
    the experiment at hand is not among them, so that its experiment would seem to be dead.
    """
    return processes(Path(), "queue-worker")


def processes(folder: Path, word: str | None = None) -> list[psutil.Process]:
    """Return the processes at work in a folder or below, or those with a word in their command."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is somebody else's
            here = Path(process.cwd()).is_relative_to(folder.resolve())
            if here and (word is None or word in process.cmdline()):
                found.append(process)
    return found


def commit(task: Task) -> str:
    """Return the commit that an experiment was queued on; nothing if Git does not have it any more.

    DVC keeps an experiment as a stash, under the task's id.
    """
    try:
        return git.call("rev-parse", "--verify", "--quiet", f"{task.id}^1").strip()
    except UserError:
        return ""


def add(run: Run) -> None:
    """Queue a run."""
    call(*experiment(run), "--queue")


def experiment(run: Run) -> list[str]:
    """Return DVC's command for a run: of the stages, only what its model's evaluation needs."""
    changes = (part for override in run.overrides for part in ("-S", override))
    return ["exp", "run", "--name", run.name, *changes, f"evaluate@{run.model}"]


def remove(done: Iterable[Task]) -> None:
    """Take tasks that do not run out of the queue."""
    if ids := [task.id for task in done]:
        call("queue", "remove", *ids)


def start(jobs: int) -> None:
    """See to it that so many workers are there. They end when there is nothing left to do."""
    call("queue", "start", "--jobs", str(jobs))


def stop() -> None:
    """End the workers and all that they run. What they ran counts as failed, what waits stays."""
    if workers():
        # Only to those who listen: a worker to come would find the message, and end.
        call("queue", "stop", "--kill")
    deadline = time.monotonic() + 60
    while alive := workers():
        # DVC kills its own process of an experiment alone: the training that it started would go
        # on. And a worker may take up the next experiment before it hears that it is to end.
        overdue = alive if time.monotonic() > deadline else []
        kill([*processes(FOLDERS), *overdue])
        time.sleep(0.5)
    kill(processes(FOLDERS))
    # What a worker left behind that did not end by itself.
    if orphans := [task.id for task in tasks() if task.state == "Running"]:
        call("queue", "kill", "--force", *orphans)


def kill(alive: Iterable[psutil.Process]) -> None:
    """End processes at once; nothing that they write is of use half done."""
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def call(*arguments: str) -> str:
    """Run a DVC command and return what it wrote. Raises UserError when it fails again and again.

    Workers write what DVC reads: it can find a lock taken, a file half there, a folder gone.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(UserError):
            return once(*arguments)
        time.sleep(1)
    return once(*arguments)


def once(*arguments: str) -> str:
    """Run a DVC command and return what it wrote. Raises UserError when it fails.

    Ctrl-C does not reach it: half a command could leave the workspace changed.
    """
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
