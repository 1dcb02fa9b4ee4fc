"""Set what was measured beside what the documents say."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import models
from stages import paths
from stages.command import ArgumentParser, run
from study.base.files import read_text, write
from study.data import mnist
from study.evidence import aggregates, configurations, run_table, target, verdicts, write_up
from study.networks import receptive_field
from study.recipes import params_file
from study.reporting import document, figures
from study.training import history


def main() -> None:
    """Write the report on the models that the command names, and its figures."""
    parser = ArgumentParser()
    parser.add_argument("margin")
    parser.add_argument("models", nargs="+", choices=models.names())
    arguments = parser.parse_args()
    margin = params_file.equivalence_margin(arguments.margin)
    names: list[str] = arguments.models

    documented = write_up.read(paths.DOCUMENTS, paths.EPOCHS)
    metrics = {
        name: document.Metrics(**json.loads(read_text(paths.metrics(name)))) for name in names
    }
    evaluated = mnist.read_evaluation_set(paths.MNIST, document.validation_images(metrics))
    images, labels = (tensor.numpy() for tensor in evaluated)
    answers = {name: last_column(paths.predictions(name)) for name in names}
    confusion = {name: last_column(paths.confusion(name)).reshape(10, 10) for name in names}
    trained = document.Models(
        metrics,
        histories={name: history.from_csv(read_text(paths.history(name))) for name in names},
        right={name: answer == labels for name, answer in answers.items()},
        summaries={name: read_text(paths.summary(name)) for name in names},
        receptive_fields={
            name: receptive_field.from_csv(read_text(paths.receptive_field(name))) for name in names
        },
    )
    missed = document.missed_by_all(trained.right)

    rows = run_table.from_csv(read_text(paths.LEDGER))
    tested = run_table.on_the_test_set(rows)
    runs = document.Runs(
        verdicts.from_json(read_text(paths.VERDICTS)),
        margin,
        aggregates.configurations(tested, documented),
        configurations.descriptions(read_text(paths.EXPERIMENTS)),
        target.outcome(tested, documented.target.accuracy),
        target.choices(rows),
    )
    bands = aggregates.bands(tested, documented)
    differences = aggregates.differences(runs.claims)

    for name, kind, data in (
        ("forest", aggregates.Difference, differences),
        ("parameters", aggregates.Configuration, runs.configurations),
        ("seeds", aggregates.Band, chain.from_iterable(bands.values())),
    ):
        write(paths.FIGURE_DATA / f"{name}.csv", aggregates.to_csv(kind, data))
    for figure, svg in (
        ("forest", figures.forest(differences, margin)),
        ("parameters", figures.parameters(runs.configurations, documented.target)),
        ("seeds", figures.seeds(bands)),
        ("curves", figures.curves(trained.histories, documented.models)),
        ("confusion", figures.confusion(confusion)),
        ("misses", figures.misses(missed, images, labels, answers)),
    ):
        write(paths.FIGURES / f"{figure}.svg", svg)
    write(paths.REPORT, document.report(trained, runs, documented))


def last_column(path: Path) -> NDArray[np.int64]:
    """The counts or the predictions in a CSV file: what its rows are about comes last."""
    return np.loadtxt(read_text(path).splitlines(), np.int64, delimiter=",", skiprows=1, usecols=-1)


if __name__ == "__main__":
    run(main)
