"""Evaluate one trained model on the test images, or on held-out training images."""

import json

import models
from stages import paths
from stages.command import ArgumentParser, run
from study import evaluation, history, mnist, results
from study.files import replace


def main() -> None:
    """Write the model's metrics, its prediction for each image, and its confusion counts."""
    parser = ArgumentParser()
    parser.add_argument("model", choices=models.names())
    parser.add_argument("holdout", type=int)
    arguments = parser.parse_args()
    model, holdout = arguments.model, arguments.holdout
    network = evaluation.load(model, paths.weights(model))
    images, labels = mnist.read_evaluation_set(paths.MNIST, holdout)
    epochs = history.from_csv(paths.history(model).read_text("utf-8"))
    tested = evaluation.evaluate(network, images, labels)

    with replace(paths.predictions(model)) as path:
        path.write_text(results.predictions_csv(labels, tested.predictions), encoding="utf-8")
    with replace(paths.confusion(model)) as path:
        path.write_text(results.confusion_csv(labels, tested.predictions), encoding="utf-8")
    with replace(paths.metrics(model)) as path:
        metrics = results.metrics(network, tested, epochs, holdout)
        path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
