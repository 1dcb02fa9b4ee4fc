"""Steps of the engine, for `benchmarks.steps`."""

import numpy as np
from numpy.typing import NDArray

from benchmarks import step_timer
from study.engine import Engine, rng_state
from study.recipes.recipe import Recipe
from study.training.trainer import initialize


def prepare(
    model: str, recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> step_timer.Training:
    """Return the training of a model by the engine, at a constant learning rate."""
    trained = Engine(initialize(model, recipe), recipe.batch_size, recipe.ema_decay)
    state = rng_state(np.random.SeedSequence(recipe.seed))
    options = recipe.learning_rate, recipe.momentum, recipe.weight_decay

    def train(steps: int) -> None:
        for _ in range(steps):
            trained.step(images, labels, state, *options)

    return train


if __name__ == "__main__":
    step_timer.answer(prepare)
