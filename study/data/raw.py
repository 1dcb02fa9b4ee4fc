"""The four raw files of MNIST: their names, checksums and shapes, and reading them.

Only bytes with the checksums in SHA256 get through, whichever source they come from.
"""

import hashlib
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.base.errors import UserError

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""The values in each file, for which the code is made; another data set may have others."""
CLASSES = 10
"""Labels are below it."""
GUIDE = "docs/extending.md (another data set)"


def read(path: Path) -> NDArray[np.uint8]:
    """Return the values in a raw file: images [n, 28, 28], or labels [n] from 0 to 9.

    Raises UserError if the file is missing, if its checksum is not the one in SHA256, or if it
    holds other values.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: {reason}; run `dvc repro download` to fetch it") from None
    if (found := sha256(content.data)) != SHA256[path.name]:
        raise UserError(
            f"{path}: truncated or altered, its SHA-256 must be {SHA256[path.name]}, got {found};"
            f" run `dvc checkout --force {path.parent}` or, if the DVC cache is damaged too,"
            " `rm -r .dvc/cache && dvc repro --force download`"
        )
    shape = SHAPES[path.name]
    # IDX: the type (8 for uint8), the number of axes, the size of each, and the values.
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    if content[: len(header)].tobytes() != header:
        sizes = " x ".join(map(str, shape))
        raise UserError(f"{path}: must be an IDX file of {sizes} bytes; see {GUIDE}")
    values = content[len(header) :].reshape(shape)
    if values.ndim == 1 and values.max() >= CLASSES:
        raise UserError(f"{path}: labels must be below {CLASSES}, got {values.max()}; see {GUIDE}")
    return values


def sha256(content: bytes | memoryview) -> str:
    """Return the SHA-256 checksum of `content` in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
