"""The memory of a network in training: one array; kernels know their operands as offsets in it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]
"""Arrays by name, such as a network's state_dict."""

LINE = 64
"""Bytes of a cache line. Every place starts at one, so that no vector of channels crosses one."""


class Memory:
    """Reserves places in one array, which is created when all places are known."""

    def __init__(self) -> None:
        """Start without any places."""
        self.size = 0

    def floats(self, count: int) -> int:
        """Reserve `count` floats, initially 0; return their offset in floats."""
        offset = self.size
        self.size += -(-max(count, 1) * 4 // LINE) * LINE // 4
        return offset

    def bytes(self, count: int) -> int:
        """Reserve `count` bytes, initially 0; return their offset in bytes."""
        return 4 * self.floats(-(-count // 4))

    def array(self) -> Floats:
        """Return the array that has all places."""
        raw = np.zeros(4 * self.size + LINE, np.uint8)
        start = -raw.ctypes.data % LINE
        return raw[start : start + 4 * self.size].view(np.float32)
