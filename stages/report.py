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

    published = write_up.read(paths.WRITE_UP, paths.EPOCHS)
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

    plan = configurations.read(read_text(paths.EXPERIMENTS))
    rows = run_table.from_csv(read_text(paths.RUNS))
    tested = run_table.on_the_test_set(rows)
    runs = document.Runs(
        verdicts.from_json(read_text(paths.VERDICTS)),
        margin,
        aggregates.configuration_stats(tested, published, plan.defaults),
        plan.descriptions,
        target.final_model(tested, plan.final, published.target.accuracy),
        target.ablation(rows, plan.final),
    )
    bands = aggregates.epoch_bands(tested, published, plan.defaults)
    differences = aggregates.differences(runs.claims)

    for name, kind, data in (
        ("forest", aggregates.Difference, differences),
        ("parameters", aggregates.ConfigurationStats, runs.configurations),
        ("seeds", aggregates.EpochBand, chain.from_iterable(bands.values())),
    ):
        write(paths.FIGURE_DATA / f"{name}.csv", aggregates.to_csv(kind, data))
    for figure, svg in (
        ("forest", figures.forest(differences, margin)),
        ("parameters", figures.parameters(runs.configurations, published.target)),
        ("seeds", figures.seeds(bands)),
        ("curves", figures.curves(trained.histories, published.models)),
        ("confusion", figures.confusion(confusion)),
        ("misses", figures.misses(missed, images, labels, answers)),
    ):
        write(paths.FIGURES / f"{figure}.svg", svg)
    write(paths.REPORT, document.report(trained, runs, published))


def last_column(path: Path) -> NDArray[np.int64]:
    """The counts or the predictions in a CSV file: what its rows are about comes last."""
    return np.loadtxt(read_text(path).splitlines(), np.int64, delimiter=",", skiprows=1, usecols=-1)


if __name__ == "__main__":
    run(main)
