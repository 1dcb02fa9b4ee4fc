"""Checkpoints: the state of a training after an epoch, to resume from if it is stopped."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

import numpy as np

from study.base.errors import UserError
from study.base.files import write
from study.recipes.recipe import Recipe
from study.recipes.recipe_file import versions
from study.training.history import Epoch
from study.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
CODE = ("models", "stages", "study")


class Checkpoint:
    """The training state needed to resume: network, moving average, velocity, history.

    A resumed training ends with the bytes of an uninterrupted one. Random numbers are not stored:
    they depend only on the seed and the epoch.
    """

    def __init__(self, path: Path, model: str, recipe: Recipe) -> None:
        """Name the file, and the model and recipe that it must have been written for."""
        self.path = path
        self.key = key(model, recipe)

    def save(self, trainer: Trainer, epochs: Iterable[Epoch]) -> None:
        """Write the file, with the results of the epochs so far."""
        state = {
            "key": np.array(self.key),
            "epochs": np.array([astuple(epoch) for epoch in epochs]),
        } | trainer.state()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **state)
        content = buffer.getvalue()
        write(self.path, hashlib.sha256(content).digest() + content)

    def load(self, trainer: Trainer) -> list[Epoch]:
        """Restore the state of a trainer, and return the results of the epochs so far.

        If there is no file, or one of another model, recipe, code or version, the list is empty and
        the trainer unchanged. Raises UserError if the file is damaged.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        digest, content = content[:32], content[32:]
        if hashlib.sha256(content).digest() != digest:
            raise UserError(
                f"{self.path}: truncated or altered; run `rm {self.path}` and train from the"
                " beginning"
            )
        state = dict(np.load(io.BytesIO(content), allow_pickle=False))
        if state.pop("key") != self.key:
            return []
        epochs = state.pop("epochs")
        trainer.load_state(state)
        return [Epoch(int(number), *values) for number, *values in epochs.tolist()]


def key(model: str, recipe: Recipe) -> str:
    """Return the SHA-256 of everything that may decide the weights, in hexadecimal digits."""
    checksum = hashlib.sha256(f"{model} {recipe.model_dump_json()} {versions()}".encode())
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        content = path.read_bytes()
        checksum.update(f" {path.relative_to(ROOT).as_posix()} {len(content)} ".encode() + content)
    return checksum.hexdigest()
