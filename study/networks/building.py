"""Building a model, and checking that it is one."""

import torch
from torch import nn

import models
from study.base.errors import UserError
from study.data.raw import CLASSES

IMAGE = (1, 28, 28)
"""Channels, height and width of an image."""


def build(model: str, dropout: float) -> nn.Sequential:
    """Build a model, with weights drawn from torch's random state.

    Raises UserError if it is not a flat nn.Sequential from images [n, 1, 28, 28] to logits [n, 10].
    """
    where = f"models/{model}.py"
    try:
        network = models.build(model, dropout)
    except AttributeError as error:
        if error.name != "model":
            raise
        raise UserError(
            f"{where}: must define model(dropout); layers that models share go to models/layers.py"
        ) from None
    if type(network) is not nn.Sequential:
        raise UserError(
            f"{where}: model() must return an nn.Sequential, got {type(network).__name__}"
        )
    if any(isinstance(layer, nn.Sequential) for layer in network):
        raise UserError(f"{where}: model() must be flat; write `*block` instead of `block`")
    try:
        with torch.inference_mode():
            shape = [*network.eval()(torch.zeros(1, *IMAGE)).shape]
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{where}: layers do not fit: {str(error).splitlines()[0]}") from None
    if shape != [1, CLASSES]:
        raise UserError(
            f"{where}: model() must map an image {[1, *IMAGE]} to logits {[1, CLASSES]},"
            f" got {shape}"
        )
    return network.train()
