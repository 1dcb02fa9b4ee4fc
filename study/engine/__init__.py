"""Training and evaluation on a CPU in our own kernels: docs/engine.md explains a training step.

The engine calls no library that chooses its code by processor, so it computes the same bytes on
every processor.
"""

from study.engine.engine import Engine
from study.engine.memory import Arrays
from study.engine.plan import unsupported_reason
from study.engine.rng import initialize, rng_state

__all__ = [
    "Arrays",
    "Engine",
    "initialize",
    "rng_state",
    "unsupported_reason",
]
