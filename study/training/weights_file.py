"""A trained network as the content of a safetensors file, with a checksum of its weights."""

import hashlib
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import save

Weights = Mapping[str, NDArray[Any]]
"""By the names of a network's state_dict, with its shapes and types."""


def to_safetensors(weights: Weights) -> bytes:
    """Return weights as the content of a file, with their `digest` as metadata `sha256`."""
    return save(dict(weights), {"sha256": digest(weights)})


def digest(weights: Weights) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hexadecimal digits."""
    checksum = hashlib.sha256()
    for key, value in sorted(weights.items()):
        checksum.update(f"{key} {value.dtype} {list(value.shape)} ".encode())
        checksum.update(value.tobytes())
    return checksum.hexdigest()
