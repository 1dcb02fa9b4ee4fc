"""The settings of a process that make training give the same bytes everywhere.

Call `prepare` before torch, numpy or numba is imported: each reads its variables when it is loaded.
"""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

PF_AVX2_INSTRUCTIONS_AVAILABLE = 40
"""Feature number for the Windows function IsProcessorFeaturePresent."""
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Option numbers for the glibc function mallopt."""


def prepare() -> None:
    """Set the environment variables and the memory allocator of this process."""
    # Sums depend on how they are split up, so every operation runs in one thread.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    os.environ.pop("MKL_DOMAIN_NUM_THREADS", None)
    # No convolution in reduced precision, whatever the user has allowed.
    os.environ["ONEDNN_DEFAULT_FPMATH_MODE"] = "STRICT"
    # cuBLAS is deterministic only with a workspace of fixed size.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if is_x86_64():
        # MKL chooses code by the vendor of the processor, unless told to be compatible with all.
        os.environ["MKL_CBWR"] = "COMPATIBLE"
        if has_avx2():
            # One instruction set for all libraries that otherwise choose by processor: ATen,
            # oneDNN, and LLVM behind Numba. Haswell is the first processor with AVX2.
            os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
            os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
            os.environ["NUMBA_CPU_NAME"] = "haswell"
            os.environ["NUMBA_CPU_FEATURES"] = ""
    if platform.libc_ver()[0] == "glibc":
        keep_freed_memory()


def is_x86_64() -> bool:
    """Return whether this is an x86-64 process. (Windows says AMD64.)"""
    return platform.machine().lower() in ("x86_64", "amd64")


def has_avx2() -> bool:
    """Return whether this x86-64 processor has AVX2; True if the system does not tell.

    Nearly all do, since 2013.
    """
    try:
        if sys.platform == "win32":
            kernel = ctypes.windll.kernel32
            return bool(kernel.IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE))
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "hw.optional.avx2_0"]
            return subprocess.run(command, capture_output=True).stdout.strip() != b"0"
        return flags_have_avx2(Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    except (AttributeError, OSError):
        return True


def flags_have_avx2(cpuinfo: str) -> bool:
    """Return whether the text of /proc/cpuinfo lists AVX2; True if it lists no flags at all."""
    flags = [line.split() for line in cpuinfo.splitlines() if line.startswith("flags")]
    return not flags or "avx2" in flags[0]


def keep_freed_memory() -> None:
    """Have glibc keep the memory that a training step frees for the next step.

    Otherwise it returns large buffers to the system each time, which costs a page fault for every
    4 KiB of every buffer. This saves time and changes no number.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    libc.mallopt(M_TOP_PAD, 1 << 26)
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)  # glibc refuses more
