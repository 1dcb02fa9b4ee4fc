"""Train each model by its recipe on a few batches and print what came of it.

For test_bytes.py to compare; called with the folder of the raw files. What is printed covers
weights, running statistics, losses and predictions, with dropout, augmentation and shuffle in
between.
"""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

import hashlib
import sys
from pathlib import Path

import models
from experiments import files
from study.data import mnist
from study.evaluation import evaluator
from study.recipes import params_file
from study.training import sgd

# With a last batch that is a smaller one.
FEW = {"epochs": 1, "batch_size": 16, "train_images": 40}


def main() -> None:
    folder, values = Path(sys.argv[1]), files.values()
    images, labels = mnist.read(folder, "test", 50)
    for model in models.names():
        recipe = params_file.recipe(values, model).model_copy(update=FEW)
        network = sgd.initialise(model, recipe)
        trainer = sgd.Trainer(network, mnist.read(folder, "train", recipe.train_images), recipe)
        trained = trainer.train(0)
        tested = evaluator.evaluate(trainer.result, images, labels)
        state = b"".join(
            value.contiguous().numpy().tobytes()
            for each in (network, trainer.result)
            for value in each.state_dict().values()
        )
        sums = hashlib.sha256(state).hexdigest(), trained.loss.hex(), tested.loss.hex()
        print(model, *sums)


if __name__ == "__main__":
    main()
