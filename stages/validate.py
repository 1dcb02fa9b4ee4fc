"""Check params.yaml before anything else runs."""

import models
from stages import paths
from stages.command import run
from study.base.files import read_text, write
from study.recipes import params_file


def main() -> None:
    """Write one line, the same after every change: it orders the stages and feeds none."""
    params_file.check(read_text(paths.PARAMETERS), read_text(paths.PIPELINE), models.names())
    write(paths.VALIDATED, "params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
