"""What every stage's command line has in common."""

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import models
from study.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a stage. What its user can mend ends in one line on stderr and exit status 1.

    Ctrl-C and SIGTERM end it as they end any program, but by way of what cleans up.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.filename is None:
            raise
        absent = isinstance(error, FileNotFoundError)
        mend = "run `dvc repro`, which makes it" if absent else "make room or access, and run again"
        sys.exit(f"error: {error.filename}: {error.strerror}; {mend}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


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
