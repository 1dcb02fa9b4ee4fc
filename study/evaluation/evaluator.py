"""Evaluation: from a network and images to its loss and predictions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.networks.inputs import normalize

BATCH = {"cpu": 125, "cuda": 2000}
"""Images at a time: on a CPU, few enough to reuse the memory that training has freed."""


@dataclass(frozen=True)
class Evaluation:
    """The result of a network on a set of images."""

    loss: float
    """Mean negative log-likelihood, in nats per image."""
    predictions: Tensor
    """The most likely digit of each image, int64 [n]."""
    correct: int
    """Number of predictions that equal the label."""

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, in percent."""
        return 100 * self.correct / len(self.predictions)


def evaluate(network: nn.Sequential, images: Tensor, labels: Tensor) -> Evaluation:
    """Evaluate on images uint8 [n, 28, 28] and labels int64 [n], in evaluation mode.

    The network's own mode is restored.
    """
    training = network.training
    network.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [
                network(normalize(batch).contiguous(memory_format=torch.channels_last))
                for batch in torch.split(images, BATCH[images.device.type])
            ]
        )
        loss = F.cross_entropy(logits, labels).item()
        predictions = logits.argmax(dim=1)
    network.train(training)
    return Evaluation(loss, predictions.cpu(), int((predictions == labels).sum()))
