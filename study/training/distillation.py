"""Knowledge distillation: a small network learns the answers of an ensemble of larger ones.

Both see the same augmented images (Beyer et al. 2022, "Knowledge distillation: A good teacher is
patient and consistent", arXiv:2106.05237). The images of an epoch are the same for every seed of
the student, so the teachers answer them once.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from study.data.mnist import Images
from study.engine import Engine
from study.recipes.recipe import Recipe
from study.training import augmentation
from study.training.batches import seed_sequence
from study.training.engine_trainer import EngineTrainer

BATCH = 250
"""Images that a teacher answers at a time."""


def views(images: NDArray[np.uint8], recipe: Recipe, epoch: int) -> NDArray[np.uint8]:
    """Return the images of an epoch, augmented; they do not depend on the recipe's seed."""
    fixed = recipe.model_copy(update={"seed": 0})
    generators = {
        stream: np.random.default_rng(seed_sequence(fixed, epoch, stream))
        for stream in augmentation.STREAMS
    }
    strength = augmentation.annealed_strength(recipe, epoch)
    return augmentation.augment(images, recipe, strength, generators)


def answers(
    teachers: Sequence[nn.Sequential], images: NDArray[np.uint8], recipe: Recipe, epoch: int
) -> NDArray[np.float16]:
    """Return the mean logits [n, 10] of the teachers on the views of an epoch."""
    seen = views(images, recipe, epoch)
    total = np.zeros((len(images), 10), np.float32)
    for teacher in teachers:
        total += Engine(teacher, BATCH).logits(seen)
    return (total / np.float32(len(teachers))).astype(np.float16)


class TaughtTrainer(EngineTrainer):
    """Trains a network to give the teachers' answers, softened by a temperature."""

    trained_by = "the engine, taught by an ensemble"

    def __init__(
        self,
        network: nn.Sequential,
        train_set: Images,
        recipe: Recipe,
        answers: NDArray[np.float16],
        temperature: float,
    ) -> None:
        """Take the teachers' mean logits [epochs, n, 10]. Raises ValueError for another shape."""
        super().__init__(network, train_set, recipe)
        if answers.shape != (recipe.epochs, len(train_set[0]), 10):
            raise ValueError(f"answers are for another training: {answers.shape}")
        self.answers, self.temperature = answers, temperature

    def begin(self, epoch: int) -> None:
        """Seed the dropout masks, and keep the answers of the epoch."""
        super().begin(epoch)
        self.now = self.answers[epoch].astype(np.float32)

    def batches(self, epoch: int) -> Iterator[Images]:
        """Yield every view of the epoch once, shuffled, with its index in place of its label."""
        seen = views(self.train_set[0], self.recipe, epoch)
        generator = np.random.default_rng(seed_sequence(self.recipe, epoch, "order"))
        order = generator.permutation(len(seen))
        for start in range(0, len(order), self.recipe.batch_size):
            chosen = order[start : start + self.recipe.batch_size]
            yield seen[chosen], chosen

    def step(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], learning_rate: float
    ) -> tuple[float, int]:
        """Take one step, given the images' indices; return the loss and hits by their labels."""
        return self.engine.step(
            images,
            self.train_set[1][labels],
            self.rng_state,
            learning_rate,
            self.recipe.momentum,
            self.recipe.weight_decay,
            self.now[labels],
            self.temperature,
        )
