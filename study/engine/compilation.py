"""Compilation of the engine's kernels."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import extending, njit, types

from study.engine.code_cache import CodeCache, config
from study.engine.kernel_compiler import KernelCompiler

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Kernels cannot run as Python code: operations on vectors exist in compiled code only.
config.DISABLE_JIT = 0

INNER: dict[str, Any] = {
    "pipeline_class": KernelCompiler,
    # Wrappers for Python would be slow to compile, too.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


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
    """Compile a function once for all integers, not again for each literal argument."""
    resolve, unliteral = compiled.get_call_template, cast(Callable[..., Any], types.unliteral)
    compiled.get_call_template = lambda args, keywords: resolve(
        tuple(unliteral(each) for each in args), keywords
    )
    return compiled


def entry(function: Kernel) -> Kernel:
    """Compile a function that Python calls, on its first call, and cache the result on disk."""
    compiled: Any = njit(error_model="numpy")(function)
    compiled._cache = CodeCache(function)
    return cast(Kernel, compiled)
