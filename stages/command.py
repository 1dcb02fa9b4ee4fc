"""What the command lines of all stages have in common."""

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import models
from stages import DEPENDENCIES, dependencies, lifetime
from study.base.errors import UserError
from study.base.files import DISK_FULL


def run(main: Callable[[], None]) -> None:
    """Run a stage. A mistake of its user ends in one line on stderr and exit status 1.

    SIGINT, SIGTERM and SIGHUP raise SystemExit, so that cleanup runs. The stage also ends with the
    DVC process that started it, and fails if its dependencies have changed meanwhile.
    """
    for number in (signals := lifetime.handled()):
        signal.signal(number, lifetime.end)
    lifetime.end_with_dvc()
    try:
        main()
        dependencies.check_unchanged(DEPENDENCIES)
    except UserError as error:
        sys.exit(f"error: {error}")
    except (MemoryError, RuntimeError) as error:
        # PyTorch has no exception of its own for it.
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        sys.exit("error: not enough memory; reduce batch_size, or train fewer models at once")
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        sys.exit(f"error: {described(error)}")
    except SystemError as error:
        # What a signal raises while one of Numba's kernels returns.
        cause: BaseException | None = error
        while isinstance(cause, SystemError):
            cause = cause.__cause__
        if isinstance(cause, SystemExit):
            raise cause from None
        raise
    finally:
        # While Python shuts down, nothing it raises counts: DVC would go on after Ctrl-C.
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def described(error: OSError) -> str:
    """Return what is wrong with a file, and the remedy."""
    if isinstance(error, FileNotFoundError):
        remedy = f"`dvc repro` makes it, or `git restore {error.filename}` brings it back"
    else:
        remedy = "make room or grant access, and run again"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; {remedy}"


class ArgumentParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error as a UserError: one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError; argparse would print the usage and exit."""
        raise UserError(message)


def no_arguments() -> None:
    """Parse the command line of a stage without arguments, which knows --help."""
    ArgumentParser(description=description()).parse_args()


def model_argument() -> str:
    """Return the one argument of a stage that works on one model: the model's name."""
    parser = ArgumentParser(description=description())
    parser.add_argument(
        "model", choices=models.names(), help="name of the model, as in params.yaml and models/"
    )
    return str(parser.parse_args().model)


def description() -> str | None:
    """Return the first line of the running stage's docstring."""
    return (sys.modules["__main__"].__doc__ or "").partition("\n")[0] or None
