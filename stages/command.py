"""What every stage's command line has in common."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import models
from stages import PARENT
from study.base.errors import UserError
from study.base.files import DISK_FULL, is_running

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and the end of the terminal."""


def run(main: Callable[[], None]) -> None:
    """Run a stage. What its user can mend ends in one line on stderr and exit status 1.

    Ctrl-C, SIGTERM and the end of its terminal end it as they end any program, but by way of what
    cleans up. So does the end of DVC, where that runs it: nobody is left to record what it makes.
    """
    # In the background of a shell, or under nohup, one is not meant to end on all of them.
    signals = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    for number in signals:
        signal.signal(number, end)
    if "DVC_STAGE" in os.environ:
        make = os.environ.get("ENDS_WITH")
        threading.Thread(target=watch, args=(PARENT, make), daemon=True).start()
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except (MemoryError, RuntimeError) as error:
        # PyTorch has no exception of its own for it.
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        sys.exit("error: not enough memory; give a smaller batch_size, or train fewer at once")
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        absent = isinstance(error, FileNotFoundError)
        mend = (
            f"`dvc repro` makes it, or `git restore {error.filename}` brings it back"
            if absent
            else "make room or access, and run again"
        )
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{error.strerror}; {mend}")
    # While Python shuts down, nothing it raises counts: Ctrl-C would be lost, and DVC would go on.
    for number in signals:
        signal.signal(number, signal.SIG_DFL)


def end(number: int, _: object) -> NoReturn:
    """End on a signal, with the status that a shell gives it."""
    sys.exit(128 + number)


def watch(parent: int, make: str | None) -> None:
    """End this process once its parent has ended, or make, where make has called DVC.

    DVC that is ended by SIGTERM or kill -9 leaves its stage to go on alone, and so does make.
    """
    while os.getppid() == parent and (make is None or is_running(int(make))):
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    # What SIGTERM raises gets lost where Python can raise nothing, as in a finalizer.
    time.sleep(5)
    os.kill(os.getpid(), signal.SIGKILL)


class ArgumentParser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like any other."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError; argparse itself would print how to use the command, and exit."""
        raise UserError(message)


def model_argument() -> str:
    """The one positional argument of a stage that works on one model: the model's name."""
    parser = ArgumentParser()
    parser.add_argument("model", choices=models.names())
    return str(parser.parse_args().model)
