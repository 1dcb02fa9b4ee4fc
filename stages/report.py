"""Write the report on all models: text, figures, and the data behind the figures."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from stages import paths, project_files
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import metrics
from study.evidence import aggregates, claims_file, held_out, run_table
from study.networks import receptive_field
from study.reporting import document, figures, tables


def main() -> None:
    """Write the folder reports/, and remove all other files in it."""
    no_arguments()
    params = project_files.params()
    names = [*params.models]
    published, experiments = project_files.published(), project_files.experiments()

    measured = project_files.measured(names)
    images, labels = mnist.read_evaluation_set(paths.MNIST, tables.validation_images(measured))
    predictions = project_files.predictions(names)
    confusion = {
        name: metrics.confusion_from_csv(read_text(paths.confusion(name))) for name in names
    }
    trained = tables.Models(
        metrics=measured,
        histories=project_files.histories(names),
        correct={name: each == labels for name, each in predictions.items()},
        summaries={name: read_text(paths.summary(name)) for name in names},
        receptive_fields={
            name: receptive_field.from_csv(read_text(paths.receptive_field(name))) for name in names
        },
    )

    rows = project_files.rows()
    tested = run_table.on_the_test_set(rows)
    stats = aggregates.configuration_stats(tested, published, experiments.defaults)
    evidence = tables.Evidence(
        verdicts=project_files.judged(),
        margin=params.equivalence_margin,
        configurations=stats,
        descriptions=claims_file.descriptions(experiments),
        final=aggregates.named(stats, experiments.final),
        held_out=held_out.on_validation_images(rows, experiments.final),
        closed=project_files.closed(),
    )
    claims = tables.all_claims(evidence)
    bands = aggregates.epoch_bands(tested, published, experiments.defaults)

    data = {
        "accuracy": aggregates.to_csv(aggregates.ConfigurationStats, evidence.configurations),
        "curves": aggregates.to_csv(tables.CurvePoint, tables.curve_points(trained.histories)),
        "seeds": aggregates.to_csv(aggregates.EpochBand, chain.from_iterable(bands.values())),
    }
    drawings = {
        "confusion": figures.confusion(confusion),
        "forest": figures.forest(claims, evidence.descriptions, evidence.margin),
        "misses": figures.misses(trained.missed, images, labels, predictions),
        "models": figures.models(evidence.configurations, published.target),
        "seeds": figures.seeds(bands),
    }
    write_only(
        paths.REPORT.parent,
        {paths.FIGURE_DATA / f"{name}.csv": text for name, text in data.items()}
        | {paths.FIGURES / f"{name}.svg": text for name, text in drawings.items()}
        | {paths.REPORT: document.render(trained, evidence, published)},
    )


def write_only(folder: Path, contents: Mapping[Path, str]) -> None:
    """Write these files in a folder, and then remove everything else in it.

    DVC leaves the folder as it is (`persist: true`), so it may have a figure of an older version.
    """
    for path, text in contents.items():
        write(path, text)
    for path in sorted(folder.rglob("*"), reverse=True):  # contents before their folder
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in contents:
            path.unlink()


if __name__ == "__main__":
    run(main)
