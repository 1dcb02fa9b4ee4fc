"""Write the study as one offline page: draw a digit, and all models answer."""

import models
from stages import paths
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.data import mnist, raw
from study.evaluation import metrics, trained_network
from study.evidence import aggregates, configurations, run_table, verdicts, write_up
from study.networks import inputs
from study.page import digits, network_export, results, single_file
from study.recipes import params_file, recipe_file
from study.reporting import tables
from study.training import history


def main() -> None:
    """Write page/index.html."""
    no_arguments()
    params = params_file.read(read_text(paths.PARAMS), models.names())
    names = [*params.models]
    published = write_up.read(paths.WRITE_UP, paths.EPOCHS)
    experiments = configurations.read(read_text(paths.EXPERIMENTS))
    tested = run_table.on_the_test_set(run_table.from_csv(read_text(paths.RUNS)))
    stats = aggregates.configuration_stats(tested, published, experiments.defaults)
    judged = verdicts.from_json(read_text(paths.VERDICTS))

    measured = {
        name: metrics.from_json(str(paths.metrics(name)), read_text(paths.metrics(name)))
        for name in names
    }
    validation_images = tables.validation_images(measured)
    images, labels = mnist.read_evaluation_set(paths.MNIST, validation_images)
    predictions = {
        name: metrics.predictions_from_csv(read_text(paths.predictions(name))) for name in names
    }
    default_stats = {each.model: each for each in stats if each.default}
    trained = [
        results.Model(
            name=name,
            metrics=measured[name],
            stats=default_stats.get(name),
            published=published.models.get(name),
            network=network_export.export(name, trained_network.load(name, paths.weights(name))),
            sha256=raw.sha256(paths.weights(name).read_bytes()),
        )
        for name in names
    ]
    values = {
        "accuracy_axis": results.accuracy_axis(stats, published),
        "configurations": stats,
        "descriptions": experiments.descriptions,
        "difference_axis": results.difference_axis(
            [*judged.claims, *judged.questions], params.equivalence_margin
        ),
        "images": len(labels),
        "margin": params.equivalence_margin,
        "models": trained,
        "results": results,
        "revisions": sorted({row.revision for row in tested}),
        "tables": tables,
        "target": published.target,
        "validation_images": validation_images,
        "verdicts": judged,
        "versions": recipe_file.written_versions(
            str(paths.recipe(names[0])), read_text(paths.recipe(names[0]))
        ),
    }
    data = {
        "models": [each.for_scripts() for each in trained],
        "mean": inputs.MEAN,
        "sd": inputs.SD,
        "digits": digits.data(images, labels, predictions),
        "curves": results.curves(
            {name: history.from_csv(read_text(paths.history(name))) for name in names},
            aggregates.epoch_bands(tested, published, experiments.defaults),
            experiments.defaults,
        ),
        "validation": bool(validation_images),
    }
    write(paths.PAGE, single_file.render(values, data))


if __name__ == "__main__":
    run(main)
