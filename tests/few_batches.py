"""Train each model on a few batches and print what came of it, for test_bytes.py to compare.

Called with the folder of the raw files. What is printed covers weights, running statistics,
losses and predictions, with dropout, rotation and shuffle in between.
"""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

import hashlib
import sys
from pathlib import Path

import models
from study import evaluation, mnist, training
from study.recipe import Recipe

RECIPE = Recipe(
    seed=1,
    epochs=1,
    batch_size=16,
    learning_rate=0.01,
    momentum=0.9,
    dropout=0.1,
    rotation=7,
    samples=40,  # the last batch is a smaller one
    device="cpu",
)


def main() -> None:
    folder = Path(sys.argv[1])
    images, labels = mnist.read(folder, "test", 50)
    for model in models.names():
        network = training.initialise(model, RECIPE)
        data = mnist.read(folder, "train", RECIPE.samples)
        trained = training.Trainer(network, data, RECIPE).train(0)
        tested = evaluation.evaluate(network, images, labels)
        state = b"".join(v.contiguous().numpy().tobytes() for v in network.state_dict().values())
        print(model, hashlib.sha256(state).hexdigest(), trained.loss.hex(), tested.loss.hex())


if __name__ == "__main__":
    main()
