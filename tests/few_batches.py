"""Train models on a few batches and print checksums of the results, for comparison.

`python -m tests.few_batches data/mnist` trains all models, `… data/mnist model_3` some, by the
recipes of params.yaml. The checksums cover weights, running statistics, losses and predictions,
after shuffling, augmentation and dropout.
"""

import hashlib
import sys
from pathlib import Path

from torch import nn

import models
from study import engine
from study.base.files import read_text
from study.data import mnist
from study.evaluation import evaluator
from study.recipes import params_file
from study.recipes.recipe import Recipe
from study.training import trainers
from study.training.batches import seed_sequence
from study.training.trainer import initialize

OTHER = "other_layers"
"""A network of what no model has: 5x5, 2x2 and biased convolutions, a ReLU after the norm with and
without pooling, dropout after pooling, odd maps, a second norm. It is trained by the recipe of
Model 6."""
# Two steps, the last with a smaller batch: in an emulator, an image takes half a second.
FEW = {"epochs": 1, "batch_size": 8, "train_images": 12}
TESTED = 12


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or models.names()
    recipes = params_file.read(read_text(Path(params_file.NAME)), models.names()).models
    images, labels = mnist.read_evaluation_set(folder)
    for name in names:
        recipe = recipes["model_6" if name == OTHER else name].model_copy(update=FEW)
        network = other(recipe) if name == OTHER else initialize(name, recipe)
        train_set = mnist.read_training_set(folder, recipe.train_images)
        trainer = trainers.trainer(network, train_set, recipe)
        trained = trainer.train(0)
        tested = evaluator.evaluate(trainer.logits(images[:TESTED]), labels[:TESTED])
        state = b"".join(value.tobytes() for value in trainer.state().values())
        print(name, hashlib.sha256(state).hexdigest(), trained.loss.hex(), tested.loss.hex())


def other(recipe: Recipe) -> nn.Sequential:
    """Return the network OTHER."""
    network = nn.Sequential(
        # 28x28 to 7x7
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.BatchNorm2d(6),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 12, 5, padding=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        # 7x7 to 3x3
        nn.Conv2d(12, 12, 5, padding=2, groups=12),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(12),
        # 3x3 to 1x1
        nn.Conv2d(12, 17, 3, padding=1),
        nn.BatchNorm2d(17),
        nn.ReLU(),
        nn.Conv2d(17, 10, 2),
        nn.AvgPool2d(2),
        nn.Flatten(),
    )
    engine.initialize(network, seed_sequence(recipe, 0, "weights"))
    return network


if __name__ == "__main__":
    main()
