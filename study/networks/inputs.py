"""What every network is given: MNIST pixels of mean 0 and standard deviation 1."""

from torch import Tensor

MEAN, SD = 0.1307, 0.3081
"""Mean and standard deviation of the training images' pixels, on a scale from 0 to 1."""


def normalize(images: Tensor) -> Tensor:
    """Return images uint8 [n, h, w] as float32 [n, 1, h, w]: (pixel / 255 - MEAN) / SD."""
    return images.unsqueeze(1).float().div_(255).sub_(MEAN).div_(SD)
