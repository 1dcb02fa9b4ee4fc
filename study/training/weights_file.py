"""A trained network as the content of a safetensors file, with a checksum of its weights."""

import hashlib
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor, nn


def to_safetensors(network: nn.Module) -> bytes:
    """Return a network's state as the content of a file, with its `digest` as metadata `sha256`."""
    weights = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    return save(weights, {"sha256": digest(weights)})


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hexadecimal digits."""
    checksum = hashlib.sha256()
    for key, value in sorted(weights.items()):
        checksum.update(f"{key} {value.dtype} {list(value.shape)} ".encode())
        checksum.update(value.numpy().tobytes())
    return checksum.hexdigest()
