"""Steps of the study's fused kernels, or of the engine, for `benchmarks.steps`."""

# Must come before torch is imported, as in every stage.
import stages  # isort: skip  # noqa: F401

import sys
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from benchmarks import step_timer
from study.data.mnist import Images
from study.engine import Engine, rng_state
from study.recipes.recipe import Recipe
from study.training import sgd


class OneBatch(sgd.Trainer):
    """A trainer whose epochs repeat the whole training set, as one batch, `repeats` times."""

    repeats: int

    def batches(self, _epoch: int) -> Iterator[Images]:
        """Yield the batch, without augmentation."""
        for _ in range(self.repeats):
            yield self.images, self.labels


def fused(model: str, recipe: Recipe, images: Tensor, labels: Tensor) -> step_timer.Training:
    """Return the training of a model as `stages.train` does it."""
    trainer = OneBatch(sgd.initialize(model, recipe), (images, labels), recipe)
    # A schedule for this one batch would end after a few steps.
    trainer.scheduler = sgd.scheduler(trainer.optimizer, recipe, 1_000 * recipe.batch_size)

    def train(steps: int) -> None:
        trainer.repeats = steps
        trainer.train(0)

    return train


def engine(model: str, recipe: Recipe, images: Tensor, labels: Tensor) -> step_timer.Training:
    """Return the training of a model by the engine, at a constant learning rate."""
    trained = Engine(sgd.initialize(model, recipe), recipe.batch_size, recipe.ema_decay)
    state = rng_state(np.random.SeedSequence(recipe.seed))
    options = recipe.learning_rate, recipe.momentum, recipe.weight_decay

    def train(steps: int) -> None:
        for _ in range(steps):
            trained.step(images.numpy(), labels.numpy(), state, *options)

    return train


if __name__ == "__main__":
    step_timer.answer(engine if sys.argv[1] == "engine" else fused)
