"""The networks, one file each. The name of the file is the model's key in params.yaml.

Each file has `model(dropout) -> nn.Sequential`: a flat sequence of layers from images
float32 [n, 1, 28, 28] to logits float32 [n, 10]. `dropout` is a probability in [0, 1).

A training draws the weights of convolutions anew from its seed; only frozen ones, with
`requires_grad_(False)`, stay as the file sets them.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import, and a list of names does not need it
    from torch import nn


def names() -> list[str]:
    """Return the names of all models, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if name != "layers")


def build(name: str, dropout: float) -> nn.Sequential:
    """Build a model with weights drawn from torch's global random state.

    Raises KeyError if there is no such model.
    """
    if name not in names():
        raise KeyError(name)
    network: nn.Sequential = importlib.import_module(f"models.{name}").model(dropout)
    return network
