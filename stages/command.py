"""What every stage's command line has in common."""

import argparse
import sys
from collections.abc import Callable

import models
from study.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a stage. What its user can mend ends in one line on stderr and exit status 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")


def model_argument() -> str:
    """The one positional argument of a stage that works on one model: the model's name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=models.names())
    return str(parser.parse_args().model)
