"""The files that say what there is to do and what is done."""

import models
from stages import paths
from study import experiments, ledger, parameters
from study.errors import UserError
from study.experiments import Run
from study.ledger import Row


def values() -> dict[str, object]:
    """Return params.yaml's values by dotted key. Raises UserError when one is not allowed."""
    text = paths.PARAMETERS.read_text("utf-8")
    parameters.check(text, paths.PIPELINE.read_text("utf-8"), models.names())
    return parameters.read_values(text)


def runs() -> dict[str, Run]:
    """Return what experiments.yaml asks for, by name. Raises UserError."""
    if not paths.EXPERIMENTS.exists():
        raise UserError(
            f"{paths.EXPERIMENTS}: no such file; `git restore {paths.EXPERIMENTS}` brings it back"
        )
    return experiments.read(paths.EXPERIMENTS.read_text("utf-8"), values(), models.names())


def rows() -> list[Row]:
    """Return the rows of the ledger; none as long as there is no file. Raises UserError."""
    return ledger.from_csv(paths.LEDGER.read_text("utf-8")) if paths.LEDGER.exists() else []
