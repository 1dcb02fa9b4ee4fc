"""A trained network, read from its weights file and checked."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from study.base.errors import UserError
from study.networks import building
from study.training.weights_file import digest


def size(network: nn.Sequential) -> int:
    """Return the number of parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def load(model: str, path: Path) -> nn.Sequential:
    """Build a model and load its weights from a safetensors file.

    Raises UserError if the file is missing, damaged, or of another architecture. This check is
    needed because DVC does not verify its cache: a corrupted file is restored by `dvc checkout` and
    can even replace retrained weights.
    """
    network = building.build(model, dropout=0.0)
    remedy = (
        f"run `dvc repro --force train@{model}` or, if the DVC cache is damaged too,"
        f" `rm -r .dvc/cache && dvc repro --force train@{model}`"
    )
    try:
        with safe_open(path, framework="numpy") as file:
            written = (file.metadata() or {}).get("sha256")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except SafetensorError as error:
        raise UserError(f"{path}: truncated or altered ({error}); {remedy}") from None
    if (found := digest(weights)) != written:
        raise UserError(
            f"{path}: altered, the SHA-256 of its weights must be {written}, got {found}; {remedy}"
        )
    try:
        network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    except RuntimeError:
        raise UserError(f"{path}: the weights do not fit {model}; {remedy}") from None
    return network
