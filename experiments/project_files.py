"""Readers of params.yaml, experiments.yaml and the run table."""

import models
from stages import paths
from study.base.errors import UserError
from study.base.files import read_text
from study.evidence import configurations, run_table
from study.evidence.configurations import Run
from study.evidence.run_table import Row
from study.recipes import params_file
from study.recipes.params_file import Params


def params() -> Params:
    """Return the values in params.yaml. Raises UserError if one is not allowed."""
    return params_file.read(read_text(paths.PARAMS), models.names())


def runs() -> dict[str, Run]:
    """Return the runs that experiments.yaml asks for, by name. Raises UserError."""
    if not paths.EXPERIMENTS.exists():
        raise UserError(
            f"{paths.EXPERIMENTS} does not exist; `git restore {paths.EXPERIMENTS}` restores it"
        )
    return configurations.runs(read_text(paths.EXPERIMENTS), params())


def closed() -> list[str]:
    """Return the ids of the trials in experiments.yaml that are over. Raises UserError."""
    return [each.id for each in configurations.read(read_text(paths.EXPERIMENTS)).closed]


def rows() -> list[Row]:
    """Return the rows of the run table; none if the file does not exist. Raises UserError."""
    return run_table.from_csv(read_text(paths.RUNS)) if paths.RUNS.exists() else []
