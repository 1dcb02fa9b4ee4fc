"""A training as it is after an epoch, kept so that it can go on from there if it is ended early."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

import numba
import numpy as np
import torch

from study.base.errors import UserError
from study.base.files import write
from study.recipes.recipe import Recipe
from study.training.history import Epoch
from study.training.sgd import Trainer

ROOT = Path(__file__).parent.parent
CODE = ("models", "stages", "study")


class Checkpoint:
    """A file with all that the epochs still to come depend on, beside the recipe and the images.

    So a training that goes on from it ends with the bytes of one that was never ended. Random
    numbers need no keeping: they come from the seed and the epoch's number.
    """

    def __init__(self, path: Path, model: str, recipe: Recipe) -> None:
        """Name the file, and what a checkpoint has to be of to count."""
        self.path = path
        self.key = key(model, recipe)

    def save(self, trainer: Trainer, epochs: Iterable[Epoch]) -> None:
        """Write the file, with the figures of the epochs so far."""
        state = {
            "key": self.key,
            "epochs": [astuple(epoch) for epoch in epochs],
            "network": trainer.network.state_dict(),
            "result": trainer.result.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "scheduler": trainer.scheduler.state_dict(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write(self.path, hashlib.sha256(content.getvalue()).digest() + content.getvalue())

    def load(self, trainer: Trainer) -> list[Epoch]:
        """Take a trainer to where the file was written, and return the figures of those epochs.

        There are none, and the trainer stays as it is, when there is no file, or one of another
        model, recipe, code or version. Raises UserError when the file is damaged.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        digest, content = content[:32], content[32:]
        if hashlib.sha256(content).digest() != digest:
            raise UserError(
                f"{self.path}: truncated or altered; remove it, and train from the beginning"
            )
        state = torch.load(io.BytesIO(content), weights_only=True)
        if state["key"] != self.key:
            return []
        trainer.network.load_state_dict(state["network"])
        trainer.result.load_state_dict(state["result"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.scheduler.load_state_dict(state["scheduler"])
        return [Epoch(*values) for values in state["epochs"]]


def key(model: str, recipe: Recipe) -> str:
    """Return the SHA-256 of all that may decide the weights, in hexadecimal digits."""
    sums = hashlib.sha256(f"{model} {recipe.model_dump_json()}".encode())
    sums.update(f" {torch.__version__} {np.__version__} {numba.__version__}".encode())
    for path in sorted(path for folder in CODE for path in (ROOT / folder).glob("*.py")):
        sums.update(path.read_bytes())
    return sums.hexdigest()
