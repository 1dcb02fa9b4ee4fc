"""Set what was measured beside what the documents say."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import models
from stages import paths
from stages.command import ArgumentParser, run
from study import (
    claims,
    documents,
    experiments,
    figures,
    goal,
    history,
    ledger,
    mnist,
    parameters,
    receptive_field,
    report,
    seeds,
)
from study.files import text, write


def main() -> None:
    """Write the report on the models that the command names, and its figures."""
    parser = ArgumentParser()
    parser.add_argument("margin")
    parser.add_argument("models", nargs="+", choices=models.names())
    arguments = parser.parse_args()
    margin = parameters.equivalence_margin(arguments.margin)
    names: list[str] = arguments.models

    documented = documents.read(paths.DOCUMENTS, paths.EPOCHS)
    metrics = {name: report.Metrics(**json.loads(text(paths.metrics(name)))) for name in names}
    evaluated = mnist.read_evaluation_set(paths.MNIST, report.held_out(metrics))
    images, labels = (tensor.numpy() for tensor in evaluated)
    answers = {name: last_column(paths.predictions(name)) for name in names}
    confusion = {name: last_column(paths.confusion(name)).reshape(10, 10) for name in names}
    trained = report.Models(
        metrics,
        histories={name: history.from_csv(text(paths.history(name))) for name in names},
        right={name: answer == labels for name, answer in answers.items()},
        summaries={name: text(paths.summary(name)) for name in names},
        receptive_fields={
            name: receptive_field.from_csv(text(paths.receptive_field(name))) for name in names
        },
    )
    missed = report.missed_by_all(trained.right)

    rows = ledger.from_csv(text(paths.LEDGER))
    tested = ledger.on_the_test_set(rows)
    runs = report.Runs(
        claims.from_json(text(paths.VERDICTS)),
        margin,
        seeds.configurations(tested, documented),
        experiments.descriptions(text(paths.EXPERIMENTS)),
        goal.outcome(tested, documented.target.accuracy),
        goal.choices(rows),
    )
    bands = seeds.bands(tested, documented)
    differences = seeds.differences(runs.claims)

    for name, kind, data in (
        ("forest", seeds.Difference, differences),
        ("parameters", seeds.Configuration, runs.configurations),
        ("seeds", seeds.Band, chain.from_iterable(bands.values())),
    ):
        write(paths.FIGURE_DATA / f"{name}.csv", seeds.to_csv(kind, data))
    for figure, svg in (
        ("forest", figures.forest(differences, margin)),
        ("parameters", figures.parameters(runs.configurations, documented.target)),
        ("seeds", figures.seeds(bands)),
        ("curves", figures.curves(trained.histories, documented.models)),
        ("confusion", figures.confusion(confusion)),
        ("misses", figures.misses(missed, images, labels, answers)),
    ):
        write(paths.FIGURES / f"{figure}.svg", svg)
    write(paths.REPORT, report.report(trained, runs, documented))


def last_column(path: Path) -> NDArray[np.int64]:
    """The counts or the predictions in a CSV file: what its rows are about comes last."""
    return np.loadtxt(text(path).splitlines(), np.int64, delimiter=",", skiprows=1, usecols=-1)


if __name__ == "__main__":
    run(main)
