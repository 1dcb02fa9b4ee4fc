"""What every network is given: MNIST pixels of mean 0 and standard deviation 1."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MEAN, SD = 0.1307, 0.3081
"""Mean and standard deviation of the training images' pixels, on a scale from 0 to 1."""
BATCH = 2000
"""Images that PyTorch evaluates at a time."""


def normalize(images: Tensor) -> Tensor:
    """Return images uint8 [n, h, w] as float32 [n, 1, h, w]: (pixel / 255 - MEAN) / SD."""
    return images.unsqueeze(1).float().div_(255).sub_(MEAN).div_(SD)


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
