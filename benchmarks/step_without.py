"""Steps of the engine without one of its optimizations, for `benchmarks.optimizations`.

The engine has no switches: each function here replaces a part of it, before kernels are compiled.
"""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from torch import nn

from benchmarks import project_step, step_timer
from study.engine import engine, memory, plan
from study.engine.code_cache import CodeCache
from study.engine.compilation import kernel
from study.engine.memory import Floats
from study.engine.plan import TAPS, WINOGRAD, Section

Patch = Callable[[object, str, object], None]
"""Sets an attribute: setattr."""


def winograd(patch: Patch) -> None:
    """Compute all 3x3 convolutions as one matrix product per row of the kernel."""
    kind: Callable[[Section], str] = Section.kind.fget  # type: ignore[attr-defined]
    patch(Section, "kind", property(lambda each: TAPS if kind(each) == WINOGRAD else kind(each)))


def fusion(patch: Patch) -> None:
    """Give each layer a pass of its own, which reads its input and writes its output."""
    follow = plan.follow

    def follow_nothing(section: Section, name: str, layer: nn.Module) -> bool:
        return section.linear is None and section.plain and follow(section, name, layer)

    patch(plan, "follow", follow_nothing)


def prefetch(patch: Patch) -> None:
    """Fetch no data before it is needed. Kernels are compiled anew: the cache has others."""
    patch(CodeCache, "load_overload", lambda *_: None)
    patch(CodeCache, "save_overload", lambda *_: None)
    for module in engine.PASSES.values():
        if hasattr(module, "prefetch_ahead"):
            patch(module, "prefetch_ahead", fetch_nothing)


@kernel
def fetch_nothing(
    _m: Floats, _streams: Any, _start: int, _group: int, _reverse: bool, _n: int, _part: int
) -> None:
    """Do nothing, instead of `prefetch_ahead`."""


def order(patch: Patch) -> None:
    """Start every pass from the first image, which is no longer in the cache."""

    def forwards(passes: Any) -> SimpleNamespace:
        return SimpleNamespace(
            forward=lambda *arguments: passes.forward(*arguments[:-1], False),
            backward=lambda *arguments: passes.backward(*arguments[:-1], False),
        )

    patch(engine, "PASSES", {kind: forwards(each) for kind, each in engine.PASSES.items()})


def alignment(patch: Patch) -> None:
    """Start each array where the one before ends, not at the next cache line."""
    patch(memory, "LINE", 4)


WITHOUT: dict[str, Callable[[Patch], None]] = {
    "Winograd's algorithm": winograd,
    "One pass per convolution": fusion,
    "Prefetching": prefetch,
    "Every second pass in reverse": order,
    "Arrays aligned to cache lines": alignment,
}
"""For each optimization, the function that removes it."""


if __name__ == "__main__":
    if len(sys.argv) > 1:
        WITHOUT[sys.argv[1]](setattr)
    step_timer.answer(project_step.prepare)
