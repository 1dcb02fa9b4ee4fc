"""Training and evaluation on a CPU in our own kernels: docs/engine.md explains a training step.

The study does not train with this engine yet: a switch changes every number, so it comes with new
runs of everything, in a later change. Until then, tests/engine compares the engine with PyTorch and
`python -m benchmarks.steps` measures its speed.

The engine calls no library that chooses its code by processor, so it computes the same bytes on
every processor.
"""

from study.engine.engine import Engine
from study.engine.plan import UnsupportedError, unsupported_reason
from study.engine.rng import initialize, rng_state

__all__ = ["Engine", "UnsupportedError", "initialize", "rng_state", "unsupported_reason"]
