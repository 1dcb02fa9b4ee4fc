"""Processes that measure training steps on request, for `benchmarks.steps`."""

import json
import sys
from collections.abc import Callable
from time import process_time

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import WARM_UP
from study.recipes.recipe import Recipe

Training = Callable[[int], object]
"""Takes a number of steps on the same batch."""
Prepare = Callable[[str, Recipe, NDArray[np.uint8], NDArray[np.int64]], Training]
"""Returns the training of a model on images uint8 [n, 28, 28] and their labels [n]."""


def answer(prepare: Prepare) -> None:
    """Answer each request, a line of stdin, with a line: the CPU time of a step, in seconds.

    A model's first steps are not measured: they compile kernels and fill caches.
    """
    current, training = "", None
    for line in sys.stdin:
        request = json.loads(line)
        if training is None or request["model"] != current:
            current, recipe = request["model"], Recipe.model_validate(request["recipe"])
            training = prepare(current, recipe, *batch(recipe.batch_size))
            training(WARM_UP)
        start = process_time()
        training(request["steps"])
        print((process_time() - start) / request["steps"], flush=True)


def batch(size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return random images, mostly black like digits, and random labels."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (size, 28, 28), np.uint8) * (rng.random((size, 28, 28)) < 0.2)
    return images, rng.integers(0, 10, size)
