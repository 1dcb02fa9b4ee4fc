"""Stochastic gradient descent and the EMA, each over one vector of all weights."""

import numpy as np

from study.engine.compilation import entry
from study.engine.memory import Floats


@entry
def descend(
    weights: Floats,
    gradient: Floats,
    velocity: Floats,
    decayed: int,
    learning_rate: np.float32,
    momentum: np.float32,
    weight_decay: np.float32,
) -> None:
    """Take one step like torch.optim.SGD; only the first `decayed` weights have weight decay.

    gradient = gradient + weight_decay * weights
    velocity = momentum * velocity + gradient
    weights = weights - learning_rate * velocity

    Changes `gradient`, `velocity` and `weights`.
    """
    for i in range(decayed):
        gradient[i] += weight_decay * weights[i]
    for i in range(weights.size):
        velocity[i] = momentum * velocity[i] + gradient[i]
        weights[i] -= learning_rate * velocity[i]


@entry
def move(average: Floats, values: Floats, share: np.float32) -> None:
    """Move the average towards the values by the fraction `share` of their difference."""
    for i in range(values.size):
        average[i] += share * (values[i] - average[i])
