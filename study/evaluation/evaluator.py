"""Evaluation: from a network and images to its loss and predictions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from study import engine
from study.engine.loss import cross_entropy
from study.networks import inputs

BATCH = 128
"""Images that the engine evaluates at a time; the logits do not depend on it."""


@dataclass(frozen=True)
class Evaluation:
    """The result of a network on a set of images."""

    loss: float
    """Mean negative log-likelihood, in nats per image."""
    predictions: NDArray[np.int64]
    """The most likely digit of each image, int64 [n]."""
    correct: int
    """Number of predictions that equal the label."""

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, in percent."""
        return 100 * self.correct / len(self.predictions)


def evaluate(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Evaluation:
    """Evaluate logits [n, 10] on labels int64 [n]. The loss is NaN if a logit is not finite."""
    no_gradient = np.zeros((0, 0), np.float32)
    loss, _ = cross_entropy(logits, labels, logits.shape[1], no_gradient)
    predictions = logits.argmax(axis=1)
    return Evaluation(loss / len(labels), predictions, int((predictions == labels).sum()))


def logits(network: nn.Sequential, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return logits [n, 10] of images uint8 [n, 28, 28], on a CPU and in evaluation mode."""
    if engine.unsupported_reason(network):
        return inputs.logits(network, images)
    return engine.Engine(network, BATCH).logits(images)
