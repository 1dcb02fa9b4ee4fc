"""Train models on a few batches and print checksums of the results, for comparison.

`python -m tests.few_batches data/mnist` trains all models, `… data/mnist model_3` some, by the
recipes of params.yaml. The checksums cover weights, running statistics, losses and predictions,
after shuffling, augmentation and dropout.
"""

import hashlib
import sys
from pathlib import Path

import models
from stages import paths
from study.base.files import read_text
from study.data import mnist
from study.evaluation import evaluator
from study.recipes import params_file
from study.training import trainers
from study.training.trainer import initialize

# The last batch is a smaller one.
FEW = {"epochs": 1, "batch_size": 16, "train_images": 40}


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or models.names()
    recipes = params_file.read(read_text(paths.PARAMS), models.names()).models
    images, labels = mnist.read_evaluation_set(folder)
    for name in names:
        recipe = recipes[name].model_copy(update=FEW)
        train_set = mnist.read_training_set(folder, recipe.train_images)
        trainer = trainers.trainer(initialize(name, recipe), train_set, recipe)
        trained = trainer.train(0)
        tested = evaluator.evaluate(trainer.logits(images[:50]), labels[:50])
        state = b"".join(value.tobytes() for value in trainer.state().values())
        print(name, hashlib.sha256(state).hexdigest(), trained.loss.hex(), tested.loss.hex())


if __name__ == "__main__":
    main()
