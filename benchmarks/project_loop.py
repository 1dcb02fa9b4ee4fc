"""This project's loop, as `stages.train` runs it, over the first few batches of an epoch."""

# Must come before torch is imported, as in every stage.
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
    """A trainer that stops an epoch after `stop` batches."""

    stop: int

    def batches(self, epoch: int) -> Iterator[mnist.Images]:
        """Yield the epoch's first batches."""
        return islice(super().batches(epoch), self.stop)


def main(model: str, raw: Path, batches: int, recipe: Recipe) -> None:
    """Measure training on `batches` batches, and one test pass."""
    train_set, test_set = mnist.read_training_set(raw), mnist.read_evaluation_set(raw)
    network = sgd.initialize(model, recipe)
    trainer = Shortened(network, train_set, recipe)

    def train(batches: int) -> None:
        trainer.stop = batches
        trainer.train(0)

    processes.report(
        train,
        lambda: evaluator.evaluate(trainer.eval_network, *test_set),
        batches,
        torch.get_num_threads(),
    )


if __name__ == "__main__":
    recipe = Recipe.model_validate_json(sys.argv[4])
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), recipe)
