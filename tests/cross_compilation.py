"""Compile the engine's kernels for another system, as Numba itself cannot."""

import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from llvmlite import binding
from numba.core.dispatcher import Dispatcher


def compile_only(triple: str, python: str) -> None:
    """Have kernels compiled and cached for another system when they are called, but not run.

    `triple` is LLVM's name of the system; `python` is the `sys.version` of the Python there, which
    the cache's files depend on. This process must have imported nothing of `study` yet.
    """
    sys.version = python
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    for module in (binding, binding.targets):
        for name in ("get_process_triple", "get_default_triple"):
            patch.object(module, name, lambda: triple).start()

    import tests.few_batches  # noqa: F401
    from study.engine.code_cache import CodeCache

    for module in [sys.modules[name] for name in sys.modules if name.startswith("study.")]:
        for name, value in list(vars(module).items()):
            cache = getattr(value, "_cache", None)
            if isinstance(value, Dispatcher) and isinstance(cache, CodeCache):
                setattr(module, name, compiler(value))


def compiler(kernel: Any) -> Callable[..., tuple[float, int]]:
    """Return a stand-in for a kernel, which compiles it for its arguments."""

    def stand_in(*arguments: Any) -> tuple[float, int]:
        kernel.compile(tuple(map(kernel.typeof_pyval, arguments)))
        return 0.0, 0  # loss and hits, from the only kernel that returns a result

    return stand_in
