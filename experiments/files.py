"""The files that say what there is to do and what is done."""

import models
from stages import paths
from study import experiments, ledger, parameters
from study.errors import UserError
from study.experiments import Run
from study.files import text
from study.ledger import Row


def values() -> dict[str, str]:
    """Return params.yaml's values by dotted key. Raises UserError when one is not allowed."""
    values = text(paths.PARAMETERS)
    parameters.check(values, text(paths.PIPELINE), models.names())
    return parameters.read_values(values)


def runs() -> dict[str, Run]:
    """Return what experiments.yaml asks for, by name. Raises UserError."""
    if not paths.EXPERIMENTS.exists():
        raise UserError(
            f"{paths.EXPERIMENTS}: no such file; `git restore {paths.EXPERIMENTS}` brings it back"
        )
    return experiments.read(text(paths.EXPERIMENTS), values(), models.names())


def rows() -> list[Row]:
    """Return the rows of the ledger; none as long as there is no file. Raises UserError."""
    return ledger.from_csv(text(paths.LEDGER)) if paths.LEDGER.exists() else []
