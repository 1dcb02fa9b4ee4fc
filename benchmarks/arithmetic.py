"""How many floating-point operations a training step needs, and how many a core can do."""

from time import process_time

import numpy as np
import torch
from torch import Tensor, nn

from study.engine.compilation import entry
from study.engine.memory import Floats
from study.engine.vector import LANES, fma, load, store

CHAINS = 12
"""Independent sums, more than the latency of two fused multiply-adds a cycle hides behind."""


def operations(network: nn.Sequential) -> int:
    """Return the operations per training image of convolutions that are computed directly.

    A multiply-add is two operations. Backward, a convolution is two of the same size: one for the
    gradient of its weights, one for that of its input, which the first layer does not need. All
    other layers are left out, as is customary.
    """
    found: list[int] = []

    def count(layer: nn.Conv2d, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        per_value = 2 * layer.weight[0].numel()
        found.append((2 if not found else 3) * per_value * output[0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 1, 28, 28))
    return sum(found)


def peak(seconds: float = 0.5) -> float:
    """Return the operations per second of one core that does nothing but fused multiply-adds."""
    numbers, steps = np.full(LANES * (CHAINS + 2), 0.5, np.float32), 1_000_000
    multiply_add(numbers, 1)
    rates, end = [], process_time() + seconds
    while (start := process_time()) < end:
        multiply_add(numbers, steps)
        rates.append(2 * LANES * CHAINS * steps / (process_time() - start))
    return max(rates)


@entry
def multiply_add(m: Floats, steps: int) -> None:
    """Take steps s = s a + b in each of CHAINS vectors in the memory, which follow a and b."""
    a, b = load(m, 0), load(m, 8)
    s0, s1, s2, s3 = load(m, 16), load(m, 24), load(m, 32), load(m, 40)
    s4, s5, s6, s7 = load(m, 48), load(m, 56), load(m, 64), load(m, 72)
    s8, s9, s10, s11 = load(m, 80), load(m, 88), load(m, 96), load(m, 104)
    for _ in range(steps):
        s0, s1, s2, s3 = fma(s0, a, b), fma(s1, a, b), fma(s2, a, b), fma(s3, a, b)
        s4, s5, s6, s7 = fma(s4, a, b), fma(s5, a, b), fma(s6, a, b), fma(s7, a, b)
        s8, s9, s10, s11 = fma(s8, a, b), fma(s9, a, b), fma(s10, a, b), fma(s11, a, b)
    total = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11
    store(m, 16, total)
