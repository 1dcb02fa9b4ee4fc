"""Moving averages of a network in training."""

import copy

from torch import nn


class Average:
    """The exponential moving average of a network's weights and running statistics.

    After each step it keeps the share `decay` of itself and takes the rest from the network, so
    that it looks back over about 1 / (1 - decay) steps. It begins as the network as it is now.
    A decay of 0 keeps nothing: then the average is the network.
    """

    def __init__(self, network: nn.Sequential, decay: float) -> None:
        """Begin an average of `network`, which is trained in place; 0 <= decay < 1."""
        self.network = copy.deepcopy(network) if decay else network
        self.weight = 1 - decay
        averages, values = self.network.state_dict().values(), network.state_dict().values()
        self.pairs = [
            (average, value)
            for average, value in zip(averages, values, strict=True)
            if decay and value.is_floating_point()
        ]

    def update(self) -> None:
        """Take the network's present values in."""
        for average, value in self.pairs:
            average.lerp_(value, self.weight)
