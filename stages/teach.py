"""Train one teacher of the ensemble: `python -m stages.teach SEED`."""

import sys
from pathlib import Path

from stages import paths
from stages.command import run
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import evaluator
from study.recipes import recipe_file
from study.training import trainers, weights_file
from study.training.trainer import initialize


def main() -> None:
    """Write the weights after the last epoch."""
    seed = int(sys.argv[1])
    path = paths.recipe("teacher")
    recipe = recipe_file.from_text(str(path), read_text(path)).model_copy(update={"seed": seed})
    train_set = mnist.read_training_set(paths.MNIST, recipe.train_images, recipe.validation_images)
    images, labels = mnist.read_evaluation_set(paths.MNIST, recipe.validation_images)
    trainer = trainers.trainer(initialize("teacher", recipe), train_set, recipe)
    for epoch in range(recipe.epochs):
        trained = trainer.train(epoch)
        print(epoch + 1, trained.loss, trained.accuracy, flush=True)
    tested = evaluator.evaluate(trainer.logits(images), labels)
    print(tested.loss, tested.accuracy)
    write(Path(f"data/teacher_{seed}.safetensors"), weights_file.to_safetensors(trainer.weights()))


if __name__ == "__main__":
    run(main)
