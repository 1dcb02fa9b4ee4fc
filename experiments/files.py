"""The files that say what there is to do and what is done."""

import models
from stages import paths
from study.base.errors import UserError
from study.base.files import read_text
from study.evidence import configurations, run_table
from study.evidence.configurations import Run
from study.evidence.run_table import Row
from study.recipes import params_file


def values() -> dict[str, str]:
    """Return params.yaml's values by dotted key. Raises UserError when one is not allowed."""
    values = read_text(paths.PARAMETERS)
    params_file.check(values, read_text(paths.PIPELINE), models.names())
    return params_file.read_values(values)


def runs() -> dict[str, Run]:
    """Return what experiments.yaml asks for, by name. Raises UserError."""
    if not paths.EXPERIMENTS.exists():
        raise UserError(
            f"{paths.EXPERIMENTS}: no such file; `git restore {paths.EXPERIMENTS}` brings it back"
        )
    return configurations.read(read_text(paths.EXPERIMENTS), values(), models.names())


def rows() -> list[Row]:
    """Return the rows of the ledger; none as long as there is no file. Raises UserError."""
    return run_table.from_csv(read_text(paths.LEDGER)) if paths.LEDGER.exists() else []
