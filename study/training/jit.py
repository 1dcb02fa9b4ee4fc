"""How this project compiles its own kernels."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function of arrays and numbers, on its first call, and keep the result on disk.

    For one fixed processor (see stages/__init__.py) and without fast-math: the same machine code,
    hence the same bytes, everywhere.
    """
    return cast(Kernel, njit(cache=True, error_model="numpy")(kernel))
