"""Building a model, and checking that it is one."""

import torch
from torch import nn

import models
from study.base.errors import UserError


def build(model: str, dropout: float) -> nn.Sequential:
    """Build a model, with weights drawn from torch's random state.

    Raises UserError if it is not a flat nn.Sequential from images [n, 1, 28, 28] to logits [n, 10].
    """
    network, where = models.build(model, dropout), f"models/{model}.py"
    if type(network) is not nn.Sequential:
        raise UserError(
            f"{where}: model() must return an nn.Sequential, got {type(network).__name__}"
        )
    if any(isinstance(layer, nn.Sequential) for layer in network):
        raise UserError(f"{where}: model() must be flat; write `*block` instead of `block`")
    try:
        with torch.inference_mode():
            shape = [*network.eval()(torch.zeros(1, 1, 28, 28)).shape]
    except RuntimeError as error:
        raise UserError(f"{where}: layers do not fit: {str(error).splitlines()[0]}") from None
    if shape != [1, 10]:
        raise UserError(
            f"{where}: model() must map an image [1, 1, 28, 28] to logits [1, 10], got {shape}"
        )
    return network.train()
