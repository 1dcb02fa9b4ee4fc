"""What all trainers share: an epoch is one step per batch, and ends with results."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from study import engine
from study.base.errors import UserError
from study.data.mnist import Images
from study.engine import Arrays
from study.networks import building
from study.recipes.recipe import Recipe
from study.training import batches
from study.training.schedule import learning_rate


@dataclass(frozen=True)
class TrainStats:
    """Results of one pass over the training images, with dropout, while the network learns."""

    loss: float
    """Mean negative log-likelihood, in nats per image."""
    accuracy: float
    """Share of correct predictions, in percent."""
    last_batch: int
    """Index of the last batch, from 0."""
    last_batch_loss: float
    """Mean negative log-likelihood of the last batch, in nats per image."""


class DivergedError(UserError):
    """Training ended because the loss is no longer a finite number."""

    def __init__(self, loss: float, learning_rate: float, epoch: int, batch: int | None = None):
        """Name the loss and where it occurred; on a GPU, only the epoch is known."""
        place = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
        super().__init__(
            f"training diverged: the loss is {loss} in {place};"
            f" learning_rate must be smaller, got {learning_rate}"
        )


def initialize(model: str, recipe: Recipe) -> nn.Sequential:
    """Build a model with weights drawn from the recipe's seed. Torch's random state is kept.

    Raises UserError if the model is not one that maps images to logits.
    """
    with torch.random.fork_rng(devices=[]):
        batches.seed_torch(recipe, 0, "weights")  # for what `engine.initialize` leaves
        network = building.build(model, recipe.dropout)
    engine.initialize(network, batches.seed_sequence(recipe, 0, "weights"))
    return network


class Trainer(ABC):
    """Trains a network by stochastic gradient descent, one epoch at a time."""

    trained_by: str
    """What computes a step, for the log."""

    def __init__(self, train_set: Images, recipe: Recipe) -> None:
        """Keep the training set and the recipe."""
        self.train_set, self.recipe = train_set, recipe
        self.steps_per_epoch = math.ceil(len(train_set[0]) / recipe.batch_size)

    def train(self, epoch: int) -> TrainStats:
        """Train on every image once. Raises DivergedError if the loss is not finite.

        Shows a progress bar if stderr is a terminal.
        """
        self.begin(epoch)
        loss_sum, correct = 0.0, 0
        with tqdm(
            self.batches(epoch), total=self.steps_per_epoch, leave=False, disable=None
        ) as bar:
            for batch, (images, labels) in enumerate(bar):
                loss, hits = self.step(images, labels, self.learning_rate(epoch, batch))
                mean_loss = loss / len(labels)
                if not math.isfinite(loss):
                    raise DivergedError(mean_loss, self.recipe.learning_rate, epoch, batch)
                loss_sum, correct = loss_sum + loss, correct + hits
                bar.set_postfix(loss=mean_loss, refresh=False)
        seen = len(self.train_set[0])
        return TrainStats(loss_sum / seen, 100 * correct / seen, batch, mean_loss)

    def batches(self, epoch: int) -> Iterator[Images]:
        """Yield every image once, shuffled and augmented anew in each epoch."""
        return batches.batches(self.train_set, self.recipe, epoch)

    def learning_rate(self, epoch: int, batch: int) -> float:
        """Return the learning rate of a step."""
        step = epoch * self.steps_per_epoch + batch
        return learning_rate(self.recipe, step, self.recipe.epochs * self.steps_per_epoch)

    @abstractmethod
    def begin(self, epoch: int) -> None:
        """Seed the random numbers that the epoch's steps draw."""

    @abstractmethod
    def step(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], learning_rate: float
    ) -> tuple[float, int]:
        """Take one step; return the sum of the losses, in nats, and the correct predictions."""

    @abstractmethod
    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's logits [n, 10] of images uint8 [n, 28, 28]: the EMA's, if any."""

    @abstractmethod
    def weights(self) -> Arrays:
        """Return the network's state_dict as arrays: the EMA's, if any."""

    @abstractmethod
    def state(self) -> Arrays:
        """Return copies of everything that later epochs depend on."""

    @abstractmethod
    def load_state(self, state: Arrays) -> None:
        """Continue from the result of `state`, with the bytes of an uninterrupted training."""
