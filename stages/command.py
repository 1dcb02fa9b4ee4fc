"""The command line that all stages share: arguments, errors, signals and exit status."""

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
    """Run a stage. A UserError is reported as one line on stderr, with exit status 1.

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
        # On a CPU, PyTorch has no exception class for this.
        words = ("allocate memory", "out of memory")
        if isinstance(error, RuntimeError) and not any(each in str(error) for each in words):
            raise
        sys.exit("error: not enough memory; reduce batch_size, or train fewer models at once")
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        sys.exit(f"error: {described(error)}")
    except SystemError as error:
        # Numba wraps the exception that a signal raises while a kernel returns.
        cause: BaseException | None = error
        while isinstance(cause, SystemError):
            cause = cause.__cause__
        if isinstance(cause, SystemExit):
            raise cause from None
        raise
    finally:
        # During shutdown, Python ignores exceptions: DVC would continue after Ctrl-C.
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        lifetime.alarm(0)


def described(error: OSError) -> str:
    """Return a message about a file error, with a remedy."""
    if isinstance(error, FileNotFoundError):
        remedy = f"`git restore {error.filename}` restores it, or `dvc repro` if a stage writes it"
    else:
        remedy = "free some space or grant access, and run again"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; {remedy}"


class ArgumentParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error as a UserError: one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError; argparse would print the usage and exit."""
        raise UserError(message)


def no_arguments() -> None:
    """Parse a command line without arguments, which supports --help."""
    parser().parse_args()


def model_argument() -> str:
    """Return the one argument of a stage that works on one model: the model's name."""
    stage = parser()
    stage.add_argument(
        "model", choices=models.names(), help="name of the model, as in params.yaml and models/"
    )
    return str(stage.parse_args().model)


def parser() -> ArgumentParser:
    """Return the parser of the running module, described by the first line of its docstring."""
    module = sys.modules["__main__"]
    name = module.__spec__ and module.__spec__.name.removesuffix(".__main__")
    return ArgumentParser(
        prog=f"python -m {name}" if name else None,
        description=(module.__doc__ or "").partition("\n")[0],
    )
