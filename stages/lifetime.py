"""Early end of a stage: on a signal, or when the DVC process that started it ends."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import psutil

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, `kill`, and the end of the terminal, which Windows does not have."""

GRACE = 5
"""Seconds in which a stage ends by itself."""


def ancestors() -> Iterator[psutil.Process]:
    """Yield the ancestors of this process, nearest first, as far as the user may see them."""
    with suppress(psutil.AccessDenied):
        parent = psutil.Process().parent()
        while parent:
            yield parent
            parent = parent.parent()


PARENTS = [*ancestors()]
"""Read at import: a process whose parent has ended gets another one."""


def handled() -> list[int]:
    """Return the signals that end this process; a shell's background and nohup ignore some."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def end(number: int, _: object) -> NoReturn:
    """End on a signal, with the status that a shell gives it; in any case within seconds."""
    # The exception is lost where Python can raise nothing, as in a finalizer.
    alarm(GRACE)
    sys.exit(128 + number)


def alarm(seconds: int) -> None:
    """Have the system end this process in some seconds, or not at all if they are 0."""
    if hasattr(signal, "alarm"):  # Windows does not have it
        signal.alarm(seconds)


def end_with_dvc() -> None:
    """End this process, from now on, when the DVC process that started it has ended.

    Otherwise its outputs would not be recorded. If make has called DVC, END_WITH_PID is
    make's: DVC outlives a make that is killed.
    """
    if "DVC_STAGE" not in os.environ:
        return
    watched = [dvc()]
    if make := os.environ.get("END_WITH_PID"):
        watched.append(process(int(make)))
    threading.Thread(target=watch, args=(watched,), daemon=True).start()


def dvc() -> psutil.Process | None:
    """Return the DVC process that started this one; None if it has ended already.

    DVC runs a stage through a shell. The stage's command replaces bash and zsh; other shells
    stay between the two and outlive DVC, as does the `python` of a virtual environment on Windows.
    """
    return next((parent for parent in PARENTS if not runs_a_stage(parent)), None)


def runs_a_stage(parent: psutil.Process) -> bool:
    """Return True if the command line of a process contains a stage's command."""
    try:
        return "-m stages." in " ".join(parent.cmdline())
    except psutil.Error:
        return False


def process(number: int) -> psutil.Process | None:
    """Return the process with a number; None if there is none."""
    try:
        return psutil.Process(number)
    except psutil.NoSuchProcess:
        return None


def watch(watched: list[psutil.Process | None]) -> None:
    """End this process once one of the watched ones has ended."""
    while all(each is not None and is_alive(each) for each in watched):
        time.sleep(0.5)
    alarm(GRACE)  # the user may ignore SIGTERM
    psutil.Process().terminate()


def is_alive(each: psutil.Process) -> bool:
    """Return True if a process still runs; a zombie has ended."""
    try:
        return bool(each.is_running() and each.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
