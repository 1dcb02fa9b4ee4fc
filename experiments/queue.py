"""DVC's queue of experiments: its commands, tasks and processes."""

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
STOP_TIMEOUT = 60  # seconds that workers have to end
WORKSPACES = Path(".dvc/tmp/exps")
"""Where DVC runs each experiment, in a folder of its own."""


@dataclass(frozen=True)
class Task:
    """An experiment in the queue."""

    id: str
    name: str
    state: str
    """Queued, Running, Failed or Success."""


def tasks() -> list[Task]:
    """Return the tasks in the queue, whatever commit they are based on."""
    found = re.findall(r"(?m)^([0-9a-f]{7}) +(\S+) .* (\w+) *$", call("queue", "status"))
    return [Task(*task) for task in found]


def workers() -> list[psutil.Process]:
    """Return DVC's queue workers of this study.

    `dvc queue status` counts only those that will take another experiment. It omits workers that
    exit after their current experiment, so that experiment would look orphaned.
    """
    return processes(Path(), "queue-worker")


def processes(folder: Path, word: str | None = None) -> list[psutil.Process]:
    """Return the processes that work in a folder or below it, with a word in their command."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or belongs to another user
            here = Path(process.cwd()).is_relative_to(folder.resolve())
            if here and (word is None or word in process.cmdline()):
                found.append(process)
    return found


def base_commit(task: Task) -> str:
    """Return the commit that an experiment is based on; "" if Git no longer has the experiment.

    DVC keeps a queued experiment as a stash, under the task's id.
    """
    try:
        return git.call("rev-parse", "--verify", "--quiet", f"{task.id}^1").strip()
    except UserError:
        return ""


def add(run: Run) -> None:
    """Queue a run."""
    call(*exp_run(run), "--queue")


def exp_run(run: Run) -> list[str]:
    """Return DVC's command for a run: only the stages that its model's evaluation needs."""
    changes = (part for override in run.overrides for part in ("-S", override))
    return ["exp", "run", "--name", run.name, *changes, f"evaluate@{run.model}"]


def remove(done: Iterable[Task]) -> None:
    """Remove tasks that are not running from the queue."""
    if ids := [task.id for task in done]:
        call("queue", "remove", *ids)


def start(jobs: int) -> None:
    """Start workers until there are `jobs`. They end when nothing is left to do."""
    call("queue", "start", "--jobs", str(jobs))


def stop() -> None:
    """End the workers and their experiments, which count as failed. Queued tasks stay."""
    if workers():
        # Only if one listens: a worker that starts later would receive the message, and end.
        call("queue", "stop", "--kill")
    deadline = time.monotonic() + STOP_TIMEOUT
    while alive := workers():
        # DVC kills only its own process of an experiment: the training that it started would
        # continue. And a worker may take another experiment before it receives the message.
        overdue = alive if time.monotonic() > deadline else []
        kill([*processes(WORKSPACES), *overdue])
        time.sleep(0.5)
    kill(processes(WORKSPACES))
    # Tasks of a worker that did not end by itself.
    if orphans := [task.id for task in tasks() if task.state == "Running"]:
        call("queue", "kill", "--force", *orphans)


def kill(alive: Iterable[psutil.Process]) -> None:
    """Kill processes; their partial outputs are of no use."""
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def call(*arguments: str) -> str:
    """Run a DVC command and return its output. Raises UserError if it fails in each attempt.

    Workers write what DVC reads, so it may find a lock taken, a partial file, or a folder gone.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(UserError):
            return call_once(*arguments)
        time.sleep(1)
    return call_once(*arguments)


def call_once(*arguments: str) -> str:
    """Run a DVC command and return its output. Raises UserError if it fails.

    Ctrl-C does not reach it: an interrupted command could leave the workspace changed.
    """
    # To a file: workers inherit the output, and would keep a pipe open as long as they live.
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
        raise UserError(f"dvc {' '.join(arguments)}: {reason(text)}")
    return text


def reason(output: str) -> str:
    """Return the errors in DVC's output without the advice that follows; else its last line."""
    lines = output.strip().splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "; ".join(errors or lines[-1:])
