"""What every network is given: MNIST pixels of mean 0 and SD 1; and what it gives: logits."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import models
from study.base.errors import UserError

MEAN, SD = 0.1307, 0.3081
"""Mean and standard deviation of the training images' pixels, on a scale from 0 to 1."""
BATCH = 2000
"""Images that PyTorch evaluates at a time."""


def normalize(images: Tensor) -> Tensor:
    """Return images uint8 [n, h, w] as float32 [n, 1, h, w]: (pixel / 255 - MEAN) / SD."""
    return images.unsqueeze(1).float().div_(255).sub_(MEAN).div_(SD)


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


def logits(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a network's logits [n, classes] of images uint8 [n, h, w], computed by PyTorch.

    The network is left in evaluation mode, on its device.
    """
    torch.set_num_threads(1)  # sums depend on how they are split up
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images), BATCH)
        outputs = [network(normalize(part.to(device))).cpu() for part in parts]
    return torch.cat(outputs).numpy()
