"""Random numbers for dropout masks and initial weights, computed from integers only.

The generator is numpy's SFC64 (Doty-Humphrey 2010), whose raw 64-bit words never change.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from study.engine.compilation import entry
from study.engine.memory import Bytes

RngState = NDArray[np.uint64]
"""State [4, N_STREAMS] of generators side by side."""

N_STREAMS = 32
"""Number of generators; several let the compiler use vector instructions."""
DRAWS_PER_ROUND = 4 * N_STREAMS
"""Number of 16-bit numbers when each generator draws once."""


def rng_state(seed: np.random.SeedSequence) -> RngState:
    """Return the state [4, N_STREAMS] of SFC64 generators; the j-th is seeded by child j."""
    states = [np.random.SFC64(child).state["state"]["state"] for child in seed.spawn(N_STREAMS)]
    return np.stack(states, axis=1)


@entry
def draw_mask(state: RngState, threshold: int, mask: Bytes) -> None:
    """Set each element to 1 if a random 16-bit number is at least `threshold`, else to 0.

    Advances `state`.
    """
    a, b, c, counter = state[0], state[1], state[2], state[3]
    words = np.empty(N_STREAMS, np.uint64)
    draws = words.view(np.uint16)  # the lowest 16 bits first: x86-64 and arm64 are little-endian
    least = np.uint16(threshold)  # the type of the draws, so that vector instructions apply
    for start in range(0, mask.size, DRAWS_PER_ROUND):
        for j in range(N_STREAMS):
            word = a[j] + b[j] + counter[j]
            counter[j] += np.uint64(1)
            a[j] = b[j] ^ (b[j] >> np.uint64(11))
            b[j] = c[j] + (c[j] << np.uint64(3))
            c[j] = ((c[j] << np.uint64(24)) | (c[j] >> np.uint64(40))) + word
            words[j] = word
        part = mask[start : start + DRAWS_PER_ROUND]
        for i in range(part.size):
            part[i] = draws[i] >= least


def threshold(dropout: float) -> int:
    """Return the argument of `draw_mask` for a probability of dropout, rounded to 1 / 65,536.

    The factor of dropout, 1 / (1 - probability), is not rounded with it.
    """
    return min(round(dropout * 65536), 65535)


def initialize(network: nn.Module, seed: np.random.SeedSequence) -> None:
    """Draw a network's weights from torch's default distribution, with our own generator.

    Weights and biases of convolutions and linear layers are uniform in ±1 / sqrt(fan-in); frozen
    ones, and those of other layers, keep their values. Element i of all arrays drawn, in the order
    of `network.named_parameters()`, uses the upper 24 bits of word i of the stream, plus a half.
    """
    stream = np.random.SFC64(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / np.sqrt(float(module.weight[0].numel()))
            for parameter in (module.weight, module.bias):
                if parameter is not None and parameter.requires_grad:
                    fill(parameter, bound, stream)


def fill(parameter: Tensor, bound: float, stream: np.random.SFC64) -> None:
    """Fill a parameter with uniform numbers in (-bound, bound)."""
    words = stream.random_raw(parameter.numel()) >> np.uint64(40)
    values = (bound * ((words + 0.5) / 2**23 - 1)).astype(np.float32)
    parameter.detach().numpy()[...] = values.reshape(parameter.shape)
