"""MNIST as arrays: the images to train on, and those to evaluate on."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.data import raw

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images uint8 [n, 28, 28], from 0 (background) to 255, and their labels int64 [n], from 0 to 9."""


def read_training_set(
    folder: Path, train_images: int | None = None, validation_images: int = 0
) -> Images:
    """Return the first `train_images` training images (default: all) that are not for validation.

    The last `validation_images` of the 60,000 training images are kept out. Raises UserError if a
    raw file in `folder` is missing or damaged.
    """
    images, labels = _read(folder, "train")
    end = len(images) - validation_images
    return images[:end][:train_images], labels[:end][:train_images]


def read_evaluation_set(folder: Path, validation_images: int = 0) -> Images:
    """Return the last `validation_images` training images; for 0, the 10,000 test images.

    Raises UserError if a raw file in `folder` is missing or damaged.
    """
    if validation_images == 0:
        return _read(folder, "t10k")
    images, labels = _read(folder, "train")
    return images[-validation_images:], labels[-validation_images:]


def _read(folder: Path, split: Literal["train", "t10k"]) -> Images:
    images = raw.read(folder / f"{split}-images-idx3-ubyte")
    return images, raw.read(folder / f"{split}-labels-idx1-ubyte").astype(np.int64)
