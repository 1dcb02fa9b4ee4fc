"""Evaluate one trained model on the test images, or on validation images."""

from stages import paths
from stages.command import model_argument, run
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import evaluator, metrics, trained_network
from study.recipes import recipe_file
from study.training import history


def main() -> None:
    """Write the model's metrics, its prediction for each image, and its confusion counts."""
    model = model_argument()
    recipe = recipe_file.from_text(str(paths.recipe(model)), read_text(paths.recipe(model)))
    network = trained_network.load(model, paths.weights(model))
    images, labels = mnist.read_evaluation_set(paths.MNIST, recipe.validation_images)
    epochs = history.from_csv(read_text(paths.history(model)))
    tested = evaluator.evaluate(evaluator.logits(network, images), labels)

    write(paths.predictions(model), metrics.predictions_to_csv(labels, tested.predictions))
    write(paths.confusion(model), metrics.confusion_to_csv(labels, tested.predictions))
    parameters = trained_network.size(network)
    measured = metrics.measure(
        tested.accuracy, tested.loss, epochs, parameters, recipe.validation_images
    )
    write(paths.metrics(model), metrics.to_json(measured))
    # By now, DVC has recorded the training.
    paths.checkpoint(model).unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
