"""Train one model by its recipe."""

import logging
import os

import models
from stages import paths
from stages.command import ArgumentParser, run
from study.base.errors import UserError, quote
from study.base.files import write
from study.data import mnist
from study.evaluation import evaluator
from study.recipes.recipe import Recipe
from study.training import cuda, history, sgd
from study.training.checkpoint import Checkpoint
from study.training.history import Epoch

TRAINERS = {"cpu": sgd.Trainer, "cuda": cuda.Trainer}


def main() -> None:
    """Write the weights after the last epoch, and the history of all.

    With RESUME=1 in the environment, go on where a training that was ended early had come to.
    """
    model, recipe = arguments()
    train_set = mnist.read(paths.MNIST, "train", recipe.training_images)
    images, labels = mnist.read_evaluation_set(paths.MNIST, recipe.validation_images)
    network = sgd.initialise(model, recipe)
    trainer = TRAINERS[recipe.device](network, train_set, recipe)
    test_set = images.to(recipe.device), labels.to(recipe.device)
    evaluated_on = "Held-out set" if recipe.validation_images else "Test set"
    # On a GPU, the captured graph keeps to its own tensors.
    checkpoint = Checkpoint(paths.checkpoint(model), model, recipe)
    resumable = trainer if isinstance(trainer, sgd.Trainer) else None
    resume = resumes()
    epochs = checkpoint.load(resumable) if resume and resumable else []
    log = logger(model, mode="a" if epochs else "w")
    if resume and not epochs:
        log.info("No checkpoint of this recipe and code: from the beginning")

    for number in range(len(epochs), recipe.epochs):
        log.info("EPOCH: %d", number)
        trained = trainer.train(number)
        log.info(
            "Loss=%.15f Batch_id=%d Accuracy=%.2f",
            trained.last_batch_loss, trained.last_batch, trained.accuracy,
        )  # fmt: skip
        tested = evaluator.evaluate(trainer.result, *test_set)
        log.info(
            "%s: Average loss: %.4f, Accuracy: %d/%d (%.2f%%)",
            evaluated_on, tested.loss, tested.correct, len(tested.predictions), tested.accuracy,
        )  # fmt: skip
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
        if resumable:
            checkpoint.save(resumable, epochs)

    write(paths.weights(model), evaluator.to_safetensors(trainer.result))
    write(paths.history(model), history.to_csv(epochs))


def resumes() -> bool:
    """Whether RESUME=1 is in the environment. Raises UserError when it has another value."""
    value = os.environ.get("RESUME", "")
    if value not in ("", "1"):
        raise UserError(f"RESUME = {quote(value)}: give 1, or leave it out")
    return value == "1"


def arguments() -> tuple[str, Recipe]:
    """The model and the recipe that the command line names, one option for each key."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("model", choices=models.names())
    for key in Recipe.model_fields:
        parser.add_argument(f"--{key}", required=True)
    options = vars(parser.parse_args())
    return options.pop("model"), Recipe.parse(options)


def logger(model: str, mode: str) -> logging.Logger:
    """A log in the documents' format: in a file, and on the console behind the model's name."""
    logging.raiseExceptions = False  # of a full disk, the results tell
    path = paths.log(model)
    path.parent.mkdir(exist_ok=True)
    log = logging.getLogger(model)
    log.setLevel(logging.INFO)
    documents = "%(asctime)s | %(levelname)s | %(message)s"
    for handler, form in (
        (logging.FileHandler(path, mode, encoding="utf-8"), documents),
        (logging.StreamHandler(), f"{model} | {documents}"),
    ):
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
    return log


if __name__ == "__main__":
    run(main)
