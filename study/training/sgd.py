"""Training: from a recipe and images to weights."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

import models
from study.base.errors import UserError
from study.evaluation.evaluator import normalise
from study.recipes.recipe import Recipe
from study.training import augmentation, fused, kernels
from study.training.averaging import Average

Images = tuple[Tensor, Tensor]
"""Images uint8 [n, 28, 28] and their labels int64 [n]."""


@dataclass(frozen=True)
class Trained:
    """One pass over the training images, by the network as it learns, with dropout."""

    loss: float
    """Mean negative log-likelihood, in nats per image."""
    accuracy: float
    """In percent."""
    last_batch: int
    """Counted from 0."""
    last_batch_loss: float


def initialise(model: str, recipe: Recipe) -> nn.Sequential:
    """Build a model with weights drawn from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = models.build(model, recipe.dropout)
    return network.to(memory_format=torch.channels_last)


def optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return stochastic gradient descent, with weight decay on the convolutions alone."""
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
    """Return what sets the learning rate after each step, over all steps on so many images."""
    if recipe.scheduler == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=math.ceil(images / recipe.batch_size),
        pct_start=recipe.warmup_fraction,
        # Straight lines need no cosine, which is not the same in every C library.
        anneal_strategy="linear",
        cycle_momentum=False,
    )


def random(recipe: Recipe, epoch: int, purpose: str) -> np.random.SeedSequence:
    """The random numbers of one purpose in one epoch, whatever was drawn before.

    So one more draw for the rotations leaves the order of the images as it was.
    """
    return np.random.SeedSequence([recipe.seed, epoch, *purpose.encode()])


class Trainer:
    """Stochastic gradient descent on a CPU: changes a network in place, one epoch at a time.

    `result` is what comes of it: that network, or the average of what it was after each step.
    """

    def __init__(self, network: nn.Sequential, train_set: Images, recipe: Recipe) -> None:
        """Start before the first epoch."""
        self.network = network
        self.steps = [*fused.fuse(network)]
        self.images, self.labels = train_set
        self.recipe = recipe
        self.optimizer = optimizer(network, recipe)
        self.scheduler = scheduler(self.optimizer, recipe, len(self.images))
        self.average = Average(network, recipe.ema_decay)
        self.result = self.average.network

    def train(self, epoch: int) -> Trained:
        """Train on every image once.

        A bar shows the batches when stderr is a terminal. Raises UserError when the loss diverges.
        """
        lanes = kernels.lanes(random(self.recipe, epoch, "dropout"))
        total = math.ceil(len(self.images) / self.recipe.batch_size)
        loss_sum, correct = 0.0, 0
        with (
            tqdm(self.batches(epoch), total=total, leave=False, disable=None) as bar,
            np.errstate(all="ignore"),  # a loss that is not finite is noticed below
        ):
            for batch, (images, labels) in enumerate(bar):
                logits = fused.forward(self.steps, normalise(images), lanes)
                mean_loss = F.cross_entropy(logits, labels)
                self.optimizer.zero_grad()
                mean_loss.backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                self.scheduler.step()
                self.average.update()

                loss = mean_loss.item()
                if not math.isfinite(loss):
                    raise UserError(
                        f"training diverged: the loss is {loss} in epoch {epoch}, batch {batch};"
                        f" learning_rate = {self.recipe.learning_rate}, give a smaller one"
                    )
                loss_sum += loss * len(labels)
                correct += int((logits.argmax(dim=1) == labels).sum())
                bar.set_description(f"Loss={loss:.4f} Batch_id={batch}", refresh=False)
        seen = len(self.images)
        return Trained(loss_sum / seen, 100 * correct / seen, batch, loss)

    def batches(self, epoch: int) -> Iterator[Images]:
        """Yield every image once, in an order and changed in ways of the epoch's own."""
        order = np.random.default_rng(random(self.recipe, epoch, "order")).permutation(
            len(self.images)
        )
        generators = {
            purpose: np.random.default_rng(random(self.recipe, epoch, purpose))
            for purpose in augmentation.PURPOSES
        }
        strength = self.recipe.strength(epoch)
        for indices in torch.split(torch.from_numpy(order), self.recipe.batch_size):
            images = self.images[indices]
            if self.recipe.augments:
                images = augmentation.augment(images, self.recipe, strength, generators)
            yield images, self.labels[indices]
