"""This project's loop, as `stages.train` runs it, over the first few batches of an epoch."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks import processes
from study.data import mnist
from study.evaluation import evaluator
from study.recipes.recipe import Recipe
from study.training.engine_trainer import EngineTrainer
from study.training.trainer import initialize


class Shortened(EngineTrainer):
    """A trainer that stops an epoch after `stop` batches."""

    stop: int

    def batches(self, epoch: int) -> Iterator[mnist.Images]:
        """Yield the epoch's first batches."""
        return islice(super().batches(epoch), self.stop)


def main(model: str, raw: Path, batches: int, recipe: Recipe) -> None:
    """Measure training on `batches` batches, and one test pass."""
    train_set, (images, labels) = mnist.read_training_set(raw), mnist.read_evaluation_set(raw)
    trainer = Shortened(initialize(model, recipe), train_set, recipe)

    def train(batches: int) -> None:
        trainer.stop = batches
        trainer.train(0)

    processes.report(
        train, lambda: evaluator.evaluate(trainer.logits(images), labels), batches, threads=1
    )


if __name__ == "__main__":
    main(*processes.arguments())
