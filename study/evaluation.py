"""How well a network names digits."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

import models
from study.errors import UserError

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


def load(model: str, weights: Path) -> nn.Sequential:
    """Build a model and give it the weights in a file.

    Raises UserError when the file is missing, damaged, or of another architecture.
    """
    network = models.build(model, dropout=0.0)
    again = f"train it again with `dvc repro --force train@{model}`"
    try:
        network.load_state_dict(load_file(weights))
    except FileNotFoundError:
        raise UserError(f"{weights}: no such file; {again}") from None
    except SafetensorError as error:
        raise UserError(f"{weights}: truncated or altered ({error}); {again}") from None
    except RuntimeError:
        raise UserError(
            f"{weights}: weights of another architecture than {model}; {again}"
        ) from None
    return network.to(memory_format=torch.channels_last)


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
