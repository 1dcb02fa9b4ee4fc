"""Train one model by its recipe."""

import importlib
import math
import os

import numpy as np

from stages import paths
from stages.command import model_argument, run
from stages.progress import Log
from study.base.errors import UserError, quote
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import evaluator
from study.recipes import recipe_file
from study.training import history, trainers, weights_file
from study.training.checkpoint import Checkpoint
from study.training.distillation import TaughtTrainer
from study.training.history import Epoch
from study.training.trainer import DivergedError, Trainer, initialize


def main() -> None:
    """Write the weights after the last epoch, and the history of all epochs.

    With RESUME=1 in the environment, continue a training that was stopped.
    """
    model = model_argument()
    recipe = recipe_file.from_text(str(paths.recipe(model)), read_text(paths.recipe(model)))
    train_set = mnist.read_training_set(paths.MNIST, recipe.train_images, recipe.validation_images)
    images, labels = mnist.read_evaluation_set(paths.MNIST, recipe.validation_images)
    network = initialize(model, recipe)
    temperature = getattr(importlib.import_module(f"models.{model}"), "TEMPERATURE", None)
    trainer: Trainer = trainers.trainer(network, train_set, recipe)
    if temperature is not None:
        answers = np.load("data/answers.npy")
        trainer = TaughtTrainer(network, train_set, recipe, answers, temperature)
    checkpoint = Checkpoint(paths.checkpoint(model), model, recipe)
    resume = resumes()
    epochs = checkpoint.load(trainer) if resume else []
    evaluated_on = "Validation set" if recipe.validation_images else "Test set"
    log = Log(model, paths.log(model), evaluated_on, resumed=bool(epochs))
    log.note(f"Trained by {trainer.trained_by}")
    if resume and not epochs:
        log.note("No checkpoint of this recipe and code: training from the beginning")

    for number in range(len(epochs), recipe.epochs):
        log.begin(number)
        trained = trainer.train(number)
        tested = evaluator.evaluate(trainer.logits(images), labels)
        log.end(trained, tested)
        if not math.isfinite(tested.loss):
            raise DivergedError(tested.loss, recipe.learning_rate, number)
        epochs.append(
            Epoch(
                number,
                trained.loss,
                trained.accuracy,
                trained.last_batch_loss,
                tested.loss,
                tested.accuracy,
            )
        )
        checkpoint.save(trainer, epochs)

    write(paths.weights(model), weights_file.to_safetensors(trainer.weights()))
    write(paths.history(model), history.to_csv(epochs))


def resumes() -> bool:
    """Return whether RESUME=1 is in the environment. Raises UserError for another value."""
    value = os.environ.get("RESUME", "")
    if value not in ("", "1"):
        raise UserError(f"RESUME must be 1 or unset, got {quote(value)}")
    return value == "1"


if __name__ == "__main__":
    run(main)
