"""Training on a CPU, in the engine."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from study.data.mnist import Images
from study.engine import Arrays, Engine, rng_state
from study.recipes.recipe import Recipe
from study.training.batches import seed_sequence
from study.training.trainer import Trainer


class EngineTrainer(Trainer):
    """Trains a network that the engine supports; the same bytes on every processor."""

    trained_by = "the engine"

    def __init__(self, network: nn.Sequential, train_set: Images, recipe: Recipe) -> None:
        """Start from the network's weights. Raises UnsupportedError."""
        super().__init__(train_set, recipe)
        self.engine = Engine(network, recipe.batch_size, recipe.ema_decay)

    def begin(self, epoch: int) -> None:
        """Seed the dropout masks."""
        self.rng_state = rng_state(seed_sequence(self.recipe, epoch, "dropout"))

    def step(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], learning_rate: float
    ) -> tuple[float, int]:
        """Take one step; return the sum of the losses, in nats, and the correct predictions."""
        momentum, weight_decay = self.recipe.momentum, self.recipe.weight_decay
        return self.engine.step(
            images, labels, self.rng_state, learning_rate, momentum, weight_decay
        )

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's logits [n, 10] of images uint8 [n, 28, 28]: the EMA's, if any."""
        return self.engine.logits(images)

    def weights(self) -> Arrays:
        """Return the network's state_dict as arrays: the EMA's, if any."""
        return self.engine.weights()

    def state(self) -> Arrays:
        """Return copies of everything that later epochs depend on."""
        return self.engine.state()

    def load_state(self, state: Arrays) -> None:
        """Continue from the result of `state`, with the bytes of an uninterrupted training."""
        self.engine.load_state(state)
