"""This project's loop, as `stages.train` runs it, but over the first few batches of an epoch."""

# Before torch is loaded, as in every stage: it readies the process.
import stages  # isort: skip  # noqa: F401

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch

from benchmarks import processes
from study.data import mnist
from study.evaluation import evaluator
from study.recipes.recipe import Recipe
from study.training import sgd


class Shortened(sgd.Trainer):
    """Stops an epoch over all images after so many batches."""

    stop: int

    def batches(self, epoch: int) -> Iterator[sgd.Images]:
        """Yield the epoch's first batches."""
        return islice(super().batches(epoch), self.stop)


def main(model: str, raw: Path, batches: int, recipe: Recipe) -> None:
    """Measure so many batches and one test pass."""
    train_set, test_set = mnist.read(raw, "train"), mnist.read(raw, "test")
    network = sgd.initialise(model, recipe)
    trainer = Shortened(network, train_set, recipe)

    def train(batches: int) -> None:
        trainer.stop = batches
        trainer.train(0)

    processes.report(
        train,
        lambda: evaluator.evaluate(trainer.result, *test_set),
        batches,
        torch.get_num_threads(),
    )


if __name__ == "__main__":
    recipe = Recipe.model_validate_json(sys.argv[4])
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), recipe)
