"""The batches of an epoch: every training image once, in random order and augmented."""

from collections.abc import Iterator

import numpy as np
import torch

from study.data.mnist import Images
from study.recipes.recipe import Recipe
from study.training import augmentation


def seed_sequence(recipe: Recipe, epoch: int, stream: str) -> np.random.SeedSequence:
    """Return the seed of an independent random stream per epoch and purpose.

    So drawing more numbers from one stream does not change the others.
    """
    return np.random.SeedSequence([recipe.seed, epoch, *stream.encode()])


def seed_torch(recipe: Recipe, epoch: int, stream: str) -> None:
    """Seed torch's global random state with that of a stream."""
    torch.manual_seed(int(seed_sequence(recipe, epoch, stream).generate_state(1)[0]))


def batches(train_set: Images, recipe: Recipe, epoch: int) -> Iterator[Images]:
    """Yield every image once, shuffled and augmented anew in each epoch, counted from 0."""
    images, labels = train_set
    order = np.random.default_rng(seed_sequence(recipe, epoch, "order")).permutation(len(images))
    generators = {
        stream: np.random.default_rng(seed_sequence(recipe, epoch, stream))
        for stream in augmentation.STREAMS
    }
    strength = augmentation.annealed_strength(recipe, epoch)
    for start in range(0, len(order), recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        batch = images[chosen]
        if recipe.augments:
            batch = augmentation.augment(batch, recipe, strength, generators)
        yield batch, labels[chosen]
