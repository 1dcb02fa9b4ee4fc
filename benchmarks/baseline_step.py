"""Steps of the plain PyTorch loop, in one thread, for `benchmarks.steps`."""

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import baseline_loop, step_timer
from study.networks.inputs import normalize
from study.recipes.recipe import Recipe


def prepare(
    model: str, recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> step_timer.Training:
    """Return the training of a model by the plain loop, on images that are normalized before."""
    torch.manual_seed(recipe.seed)
    batch = normalize(torch.from_numpy(images)), torch.from_numpy(labels)
    parts = baseline_loop.build(model, recipe, steps_per_epoch=1_000)
    return lambda steps: baseline_loop.train(parts[0], [batch] * steps, *parts[1:])


if __name__ == "__main__":
    torch.set_num_threads(1)
    step_timer.answer(prepare)
