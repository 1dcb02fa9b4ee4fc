"""The networks, one file each; a file's name is the model's key in params.yaml.

Each file holds `model(dropout) -> nn.Sequential`: a flat sequence of layers that takes images
float32 [n, 1, 28, 28] to logits float32 [n, 10]. `dropout` is a probability in [0, 1).
"""

import importlib
import pkgutil

from torch import nn


def names() -> list[str]:
    """Return the models there are, sorted."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if module.name != "layers"
    )


def build(name: str, dropout: float) -> nn.Sequential:
    """Build the model `name`, initialised from torch's global random state.

    Raises ValueError, naming the models there are, when `name` is not among them.
    """
    if name not in names():
        raise ValueError(f"unknown model {name!r}; there are {', '.join(names())}")
    network: nn.Sequential = importlib.import_module(f"models.{name}").model(dropout)
    return network
