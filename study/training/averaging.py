"""Exponential moving average (EMA) of a network in training."""

import copy

from torch import Tensor, nn


class ExponentialMovingAverage:
    """The moving average of a network's weights and running statistics.

    Each update keeps the fraction `decay` of the average and takes the rest from the network, so
    that it covers about the last 1 / (1 - decay) steps. It starts from the network's first values.
    With a decay of 0, the average is the network itself.

    torch.optim.swa_utils.AveragedModel would give other bytes: its first update copies the network,
    and it averages BatchNorm's counter of batches, too.
    """

    def __init__(self, network: nn.Sequential, decay: float) -> None:
        """Start an average of `network`, which is trained in place; 0 <= decay < 1."""
        self.network = copy.deepcopy(network) if decay else network
        self.weight = 1 - decay
        self.pairs = [
            (average, value)
            for average, value in zip(tensors(self.network), tensors(network), strict=True)
            if decay and value.is_floating_point()
        ]

    def update(self) -> None:
        """Include the network's current values."""
        for average, value in self.pairs:
            average.lerp_(value, self.weight)


def tensors(network: nn.Module) -> list[Tensor]:
    """Return weights and running statistics, once each, even if layers share them."""
    return [each.detach() for each in (*network.parameters(), *network.buffers())]
