"""Readers of the files that several stages and programs read.

They raise UserError for a mistake in what a user edits, in the run table or in metrics; what else
stages write is written again by `dvc repro`.
"""

from collections.abc import Iterable

import models
from stages import paths
from study.base.files import read_text
from study.evaluation import metrics
from study.evaluation.metrics import Labels, Metrics
from study.evidence import aggregates, configurations, run_table, verdicts, write_up
from study.evidence.aggregates import ConfigurationStats
from study.evidence.configurations import ExperimentsFile, Run
from study.evidence.run_table import Row
from study.evidence.verdicts import Verdicts
from study.evidence.write_up import WriteUp
from study.recipes import params_file
from study.recipes.params_file import Params
from study.training import history
from study.training.history import Epoch


def params() -> Params:
    """Return the values in params.yaml."""
    return params_file.read(read_text(paths.PARAMS), models.names())


def published() -> WriteUp:
    """Return the write-up."""
    return write_up.read(paths.WRITE_UP, paths.EPOCHS)


def experiments() -> ExperimentsFile:
    """Return the contents of experiments.yaml."""
    return configurations.read(read_text(paths.EXPERIMENTS))


def runs() -> dict[str, Run]:
    """Return the runs that experiments.yaml asks for, by name."""
    return configurations.runs(read_text(paths.EXPERIMENTS), params())


def closed() -> list[str]:
    """Return the ids of the trials in experiments.yaml that are over."""
    return [each.id for each in experiments().closed]


def rows() -> list[Row]:
    """Return the rows of the run table; none if the file does not exist."""
    return run_table.from_csv(read_text(paths.RUNS)) if paths.RUNS.exists() else []


def statistics() -> list[ConfigurationStats]:
    """Return the statistics of every configuration on the test set."""
    tested = run_table.on_the_test_set(rows())
    return aggregates.configuration_stats(tested, published(), experiments().defaults)


def judged() -> Verdicts:
    """Return the verdicts on the claims."""
    return verdicts.from_json(read_text(paths.VERDICTS))


def measured(names: Iterable[str]) -> dict[str, Metrics]:
    """Return the metrics of these models."""
    found = {name: paths.metrics(name) for name in names}
    return {name: metrics.from_json(str(path), read_text(path)) for name, path in found.items()}


def histories(names: Iterable[str]) -> dict[str, list[Epoch]]:
    """Return the histories of the trainings of these models."""
    return {name: history.from_csv(read_text(paths.history(name))) for name in names}


def predictions(names: Iterable[str]) -> dict[str, Labels]:
    """Return the predictions of these models: [n] each."""
    return {
        name: metrics.predictions_from_csv(read_text(paths.predictions(name))) for name in names
    }
