"""Have the teachers answer every training image of every epoch."""

import io
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages import paths
from stages.command import run
from study.base.files import read_text, write
from study.data import mnist
from study.evaluation import trained_network
from study.recipes import recipe_file
from study.recipes.recipe import Recipe
from study.training import distillation

STUDENT = "model_6_taught"
TEACHERS = 2


def main() -> None:
    """Write the mean logits float16 [epochs, n, 10] of the teachers."""
    path = paths.recipe(STUDENT)
    recipe = recipe_file.from_text(str(path), read_text(path))
    with ProcessPoolExecutor(2) as pool:
        epochs = list(pool.map(partial(answers, recipe), range(recipe.epochs)))
    content = io.BytesIO()
    np.save(content, np.stack(epochs))
    write(Path("data/answers.npy"), content.getvalue())


def answers(recipe: Recipe, epoch: int) -> NDArray[np.float16]:
    """Return the teachers' answers in one epoch."""
    images, _ = mnist.read_training_set(paths.MNIST, recipe.train_images, recipe.validation_images)
    teachers = [
        trained_network.load("teacher", Path(f"data/teacher_{seed}.safetensors"))
        for seed in range(1, TEACHERS + 1)
    ]
    print(epoch + 1, flush=True)
    return distillation.answers(teachers, images, recipe, epoch)


if __name__ == "__main__":
    run(main)
