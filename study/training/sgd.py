"""Training on a CPU: the forward pass is `fused.forward`, never `network(images)`.

One epoch shuffles and augments the training images and takes one SGD step per batch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

import models
from study.base.errors import DivergedError
from study.data.mnist import Images
from study.networks.inputs import normalize
from study.recipes.recipe import Recipe
from study.training import augmentation, fused, kernels
from study.training.averaging import ExponentialMovingAverage


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


def initialize(model: str, recipe: Recipe) -> nn.Sequential:
    """Build a model with weights drawn from the recipe's seed. Torch's random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = models.build(model, recipe.dropout)
    return network.to(memory_format=torch.channels_last)


def optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return stochastic gradient descent, with weight decay on the convolutions only."""
    convolutions = [p for p in network.parameters() if p.ndim == 4]
    rest = [p for p in network.parameters() if p.ndim != 4]
    return torch.optim.SGD(
        [
            {"params": convolutions, "weight_decay": recipe.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        fused=True,
    )


def scheduler(
    optimizer: torch.optim.Optimizer, recipe: Recipe, images: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the scheduler of the learning rate, called after each step on `images` images."""
    if recipe.scheduler == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=math.ceil(images / recipe.batch_size),
        pct_start=recipe.warmup_fraction,
        # The cosine, torch's default, is not the same in every C library.
        anneal_strategy="linear",
        cycle_momentum=False,
    )


def seed_sequence(recipe: Recipe, epoch: int, stream: str) -> np.random.SeedSequence:
    """Return the seed of an independent random stream per epoch and purpose.

    So drawing more numbers from one stream does not change the others.
    """
    return np.random.SeedSequence([recipe.seed, epoch, *stream.encode()])


class Trainer:
    """Trains a network in place by stochastic gradient descent on a CPU, one epoch at a time.

    `eval_network` is the network to evaluate and keep: the moving average of the trained network,
    or, without one, that network itself.
    """

    def __init__(self, network: nn.Sequential, train_set: Images, recipe: Recipe) -> None:
        """Prepare to train `network` from its current weights."""
        self.network = network
        self.steps = [*fused.fuse(network)]
        self.images, self.labels = train_set
        self.recipe = recipe
        self.optimizer = optimizer(network, recipe)
        self.scheduler = scheduler(self.optimizer, recipe, len(self.images))
        self.average = ExponentialMovingAverage(network, recipe.ema_decay)
        self.eval_network = self.average.network

    def train(self, epoch: int) -> TrainStats:
        """Train on every image once. Raises DivergedError if the loss is not finite.

        Shows a progress bar if stderr is a terminal.
        """
        rng_state = kernels.rng_state(seed_sequence(self.recipe, epoch, "dropout"))
        total = math.ceil(len(self.images) / self.recipe.batch_size)
        loss_sum, correct = 0.0, 0
        with (
            tqdm(self.batches(epoch), total=total, leave=False, disable=None) as bar,
            np.errstate(all="ignore"),  # the loss is checked instead
        ):
            for batch, (images, labels) in enumerate(bar):
                logits = fused.forward(self.steps, normalize(images), rng_state)
                mean_loss = F.cross_entropy(logits, labels)
                self.optimizer.zero_grad()
                mean_loss.backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                self.scheduler.step()
                self.average.update()

                loss = mean_loss.item()
                if not math.isfinite(loss):
                    raise DivergedError(loss, self.recipe.learning_rate, epoch, batch)
                loss_sum += loss * len(labels)
                correct += int((logits.argmax(dim=1) == labels).sum())
                bar.set_postfix(loss=loss, refresh=False)
        seen = len(self.images)
        return TrainStats(loss_sum / seen, 100 * correct / seen, batch, loss)

    def batches(self, epoch: int) -> Iterator[Images]:
        """Yield every image once, shuffled and augmented anew in each epoch."""
        order = np.random.default_rng(seed_sequence(self.recipe, epoch, "order")).permutation(
            len(self.images)
        )
        generators = {
            stream: np.random.default_rng(seed_sequence(self.recipe, epoch, stream))
            for stream in augmentation.STREAMS
        }
        augments = augmentation.augments(self.recipe)
        strength = augmentation.annealed_strength(self.recipe, epoch)
        for indices in torch.split(torch.from_numpy(order), self.recipe.batch_size):
            images = self.images[indices]
            if augments:
                images = augmentation.augment(images, self.recipe, strength, generators)
            yield images, self.labels[indices]
