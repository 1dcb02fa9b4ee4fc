"""Evaluate one trained model on the test images, or on held-out training images."""

import json

import models
from stages import paths
from stages.command import ArgumentParser, run
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import evaluator, metrics
from study.training import history


def main() -> None:
    """Write the model's metrics, its prediction for each image, and its confusion counts."""
    parser = ArgumentParser()
    parser.add_argument("model", choices=models.names())
    parser.add_argument("validation_images", type=int)
    arguments = parser.parse_args()
    model, validation_images = arguments.model, arguments.validation_images
    network = evaluator.load(model, paths.weights(model))
    images, labels = mnist.read_evaluation_set(paths.MNIST, validation_images)
    epochs = history.from_csv(read_text(paths.history(model)))
    tested = evaluator.evaluate(network, images, labels)

    write(paths.predictions(model), metrics.predictions_csv(labels, tested.predictions))
    write(paths.confusion(model), metrics.confusion_csv(labels, tested.predictions))
    figures = metrics.metrics(network, tested, epochs, validation_images)
    write(paths.metrics(model), json.dumps(figures, indent=2) + "\n")
    # By now, DVC has recorded the training.
    paths.checkpoint(model).unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
