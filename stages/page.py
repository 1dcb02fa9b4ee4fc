"""Write the study as one offline page: draw a digit, and all models answer."""

from stages import paths, project_files
from stages.command import no_arguments, run
from study.base.files import read_text, write
from study.data import mnist, raw
from study.evaluation import trained_network
from study.evidence import aggregates, claims_file, run_table
from study.networks import inputs
from study.page import digits, network_export, results, single_file
from study.recipes import recipe_file
from study.reporting import tables


def main() -> None:
    """Write page/index.html."""
    no_arguments()
    params = project_files.params()
    names = [*params.models]
    published, experiments = project_files.published(), project_files.experiments()
    tested = run_table.on_the_test_set(project_files.rows())
    stats = aggregates.configuration_stats(tested, published, experiments.defaults)
    judged = project_files.judged()

    measured = project_files.measured(names)
    validation_images = tables.validation_images(measured)
    images, labels = mnist.read_evaluation_set(paths.MNIST, validation_images)
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
        "descriptions": claims_file.descriptions(experiments),
        "difference_axis": results.difference_axis(
            [*judged.claims, *judged.questions], params.equivalence_margin
        ),
        "images": len(labels),
        "margin": params.equivalence_margin,
        "models": trained,
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
        "digits": digits.data(images, labels, project_files.predictions(names)),
        "curves": results.curves(
            project_files.histories(names),
            aggregates.epoch_bands(tested, published, experiments.defaults),
            experiments.defaults,
        ),
        "validation": bool(validation_images),
    }
    write(paths.PAGE, single_file.render(values, data))


if __name__ == "__main__":
    run(main)
