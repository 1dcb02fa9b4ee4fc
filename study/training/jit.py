"""Compilation of this project's own kernels."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function of arrays and numbers, on its first call, and keep the result on disk.

    The code is for one fixed processor (see environment.py) and without fast-math, so that it is
    the same, and gives the same bytes, on all processors.
    """
    return cast(Kernel, njit(cache=True, error_model="numpy")(kernel))
