"""Set what was measured beside what the documents say."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import models
from stages import paths
from stages.command import ArgumentParser, run
from study import documents, figures, history, mnist, receptive_field, report
from study.files import replace


def main() -> None:
    """Write the report on the models that the command names, and its figures."""
    parser = ArgumentParser()
    parser.add_argument("models", nargs="+", choices=models.names())
    names: list[str] = parser.parse_args().models

    documented = documents.read(paths.DOCUMENTS, paths.EPOCHS)
    images, labels = (tensor.numpy() for tensor in mnist.read(paths.MNIST, "test"))
    metrics = {name: report.Metrics(**json.loads(text(paths.metrics(name)))) for name in names}
    histories = {name: history.from_csv(text(paths.history(name))) for name in names}
    summaries = {name: text(paths.summary(name)) for name in names}
    fields = {name: receptive_field.from_csv(text(paths.receptive_field(name))) for name in names}
    confusion = {name: last_column(paths.confusion(name)).reshape(10, 10) for name in names}
    answers = {name: last_column(paths.predictions(name)) for name in names}
    right = {name: answer == labels for name, answer in answers.items()}
    missed = report.missed_by_all(right)

    for figure, svg in (
        ("curves", figures.curves(histories, documented.models)),
        ("confusion", figures.confusion(confusion)),
        ("misses", figures.misses(missed, images, labels, answers)),
    ):
        with replace(paths.FIGURES / f"{figure}.svg") as path:
            path.write_text(svg, encoding="utf-8")
    with replace(paths.REPORT) as path:
        path.write_text(
            report.report(metrics, histories, right, summaries, fields, documented),
            encoding="utf-8",
        )


def text(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def last_column(path: Path) -> NDArray[np.int64]:
    """The counts or the predictions in a CSV file: what its rows are about comes last."""
    return np.loadtxt(text(path).splitlines(), np.int64, delimiter=",", skiprows=1, usecols=-1)


if __name__ == "__main__":
    run(main)
