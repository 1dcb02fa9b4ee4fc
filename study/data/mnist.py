"""The four raw MNIST files: their names, their sums, and how they become tensors."""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from study.base.errors import UserError

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read(
    folder: Path, split: Literal["train", "test"], train_images: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the first `train_images` images of a split and their labels; all of them by default.

    Returns uint8 images [n, 28, 28] from 0 (background) to 255 and int64 labels [n] from 0 to 9.
    Raises UserError when a file is missing or its sum is not the one in SHA256.
    """
    stem = {"train": "train", "test": "t10k"}[split]
    # IDX files: a header of 16 bytes for images and 8 for labels, then one byte per value.
    images = torch.from_numpy(_checked(folder / f"{stem}-images-idx3-ubyte")[16:])
    labels = torch.from_numpy(_checked(folder / f"{stem}-labels-idx1-ubyte")[8:])
    return images.reshape(-1, 28, 28)[:train_images], labels[:train_images].to(torch.int64)


def read_evaluation_set(folder: Path, validation_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the test set or, unless it is 0, the last `validation_images` training images, as `read` does.

    Raises UserError, beside those of `read`, when there are not as many.
    """
    if validation_images == 0:
        return read(folder, "test")
    images, labels = read(folder, "train")
    if not 0 < validation_images < len(images):
        raise UserError(
            f"validation_images = {validation_images}: give a whole number, at least 0, below {len(images)}"
        )
    return images[-validation_images:], labels[-validation_images:]


def sha256(raw: bytes | memoryview) -> str:
    """Return the SHA-256 sum of `raw` in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


def _checked(path: Path) -> NDArray[np.uint8]:
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: {reason}; run `dvc repro download` to fetch it") from None
    if (found := sha256(raw.data)) != SHA256[path.name]:
        raise UserError(
            f"{path}: SHA-256 is {found}, expected {SHA256[path.name]}: truncated or altered; "
            f"restore it with `dvc checkout --force {path.parent}` or, where the DVC cache is"
            " damaged, too, with `rm -r .dvc/cache && dvc repro --force download`"
        )
    return raw
