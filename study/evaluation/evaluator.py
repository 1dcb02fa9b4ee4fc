"""How well a network names digits."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import models
from study.base.errors import UserError

MEAN, STANDARD_DEVIATION = 0.1307, 0.3081  # of the training images' pixels, in 0 to 1
BATCH = 125  # small enough to go through the memory that training has taken and given back


@dataclass(frozen=True)
class Evaluation:
    """A network on a set of images."""

    loss: float
    """Mean negative log-likelihood, in nats per image."""
    predictions: Tensor
    """The digit taken as likeliest, int64 [n]."""
    correct: int

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / len(self.predictions)


def to_safetensors(network: nn.Module) -> bytes:
    """Return a network's weights as the content of a file, with the sum of what they are."""
    weights = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    return save(weights, {"sha256": digest(weights)})


def load(model: str, path: Path) -> nn.Sequential:
    """Build a model and give it the weights in a file.

    Raises UserError when the file is missing, damaged, or of another architecture. DVC itself takes
    what its cache holds for sound, so a flipped bit there comes back with `dvc checkout`, and even
    in the place of weights that were trained again.
    """
    network = models.build(model, dropout=0.0)
    again = (
        f"train it again with `dvc repro --force train@{model}`,"
        " after `rm -r .dvc/cache` where the DVC cache is damaged, too"
    )
    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get("sha256")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {again}") from None
    except SafetensorError as error:
        raise UserError(f"{path}: truncated or altered ({error}); {again}") from None
    if digest(weights) != written:
        raise UserError(
            f"{path}: altered: the weights do not have the SHA-256 they were written with; {again}"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise UserError(f"{path}: weights of another architecture than {model}; {again}") from None
    return network.to(memory_format=torch.channels_last)


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hexadecimal digits."""
    sums = hashlib.sha256()
    for key, value in sorted(weights.items()):
        sums.update(f"{key} {value.dtype} {list(value.shape)} ".encode())
        sums.update(value.numpy().tobytes())
    return sums.hexdigest()


def normalise(images: Tensor) -> Tensor:
    """Take uint8 [n, 28, 28] to float32 [n, 1, 28, 28], of mean 0 and variance 1 over the set."""
    return images.unsqueeze(1).float().div_(255).sub_(MEAN).div_(STANDARD_DEVIATION)


def evaluate(network: nn.Sequential, images: Tensor, labels: Tensor) -> Evaluation:
    """Evaluate on images uint8 [n, 28, 28] and labels int64 [n]; leaves the mode as it was."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [
                network(normalise(batch).contiguous(memory_format=torch.channels_last))
                for batch in torch.split(images, BATCH)
            ]
        )
        loss = F.cross_entropy(logits, labels).item()
        predictions = logits.argmax(dim=1)
    network.train(training)
    return Evaluation(loss, predictions.cpu(), int((predictions == labels).sum()))
