"""Train each model on a few batches and print what came of it, for test_bytes.py to compare.

Called with the folder of the raw files. What is printed covers weights, running statistics,
losses and predictions, with dropout, augmentation and shuffle in between.
"""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

import hashlib
import sys
from itertools import product
from pathlib import Path

import models
from study import evaluation, mnist, training
from tests.recipes import recipe

# Each with a last batch that is a smaller one.
RECIPES = {
    "plain": recipe(epochs=1, batch_size=16, rotation=7, samples=40),
    "rich": recipe(
        epochs=1,
        batch_size=16,
        scheduler="one_cycle",
        weight_decay=0.01,
        ema_decay=0.5,
        rotation=7,
        translation=2,
        scaling=0.1,
        elastic=3,
        fading=1,
        interpolation="bilinear",
        samples=40,
    ),
}


def main() -> None:
    folder = Path(sys.argv[1])
    images, labels = mnist.read(folder, "test", 50)
    for model, (name, chosen) in product(models.names(), RECIPES.items()):
        network = training.initialise(model, chosen)
        data = mnist.read(folder, "train", chosen.samples)
        trainer = training.Trainer(network, data, chosen)
        trained = trainer.train(0)
        tested = evaluation.evaluate(trainer.result, images, labels)
        state = b"".join(
            value.contiguous().numpy().tobytes()
            for each in (network, trainer.result)
            for value in each.state_dict().values()
        )
        sums = hashlib.sha256(state).hexdigest(), trained.loss.hex(), tested.loss.hex()
        print(model, name, *sums)


if __name__ == "__main__":
    main()
