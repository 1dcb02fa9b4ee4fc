"""Compilation of the engine's kernels, and the cache of compiled code."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import extending, njit, types

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

OWN_CODE = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""SHA-256 of the engine's modules."""

INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options for functions that only kernels call: a wrapper for Python would be slow to compile."""


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operation for kernels, from a function that emits its LLVM code."""
    return cast(Callable[..., Any], extending.intrinsic(function))


def kernel(function: Kernel) -> Kernel:
    """Compile a function that only other kernels call. It is compiled together with its callers."""
    return cast(Kernel, once(njit(error_model="numpy", **INNER)(function)))


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that LLVM inlines into each of its callers."""
    compiled = njit(error_model="numpy", forceinline=True, **INNER)(function)
    return cast(Callable[..., Any], once(compiled))


def once(compiled: Any) -> Any:
    """Compile a function once for all integers; Numba would do so for each literal argument."""
    resolve, unliteral = compiled.get_call_template, cast(Callable[..., Any], types.unliteral)
    compiled.get_call_template = lambda args, keywords: resolve(
        tuple(unliteral(each) for each in args), keywords
    )
    return compiled


def entry(function: Kernel) -> Kernel:
    """Compile a function that Python calls, on its first call, and cache the result on disk.

    Numba would discard a cached file only if the function's own module changes. The compiled code
    includes kernels of other modules, so here a change of any of the engine's modules discards it.
    """
    compiled: Any = njit(cache=True, error_model="numpy")(function)
    compiled._cache._cache_file._source_stamp = OWN_CODE
    return cast(Kernel, compiled)
