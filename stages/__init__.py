"""One module per DVC stage. Importing this package readies the process, before torch is loaded."""

import ctypes
import os
import platform
import signal
import sys
from importlib.util import find_spec

PARENT = os.getppid()
"""The process that started this one: DVC, where it runs a stage."""

# As long as `-m` looks for the stage's module, its name is not yet in argv. The imports that follow
# take seconds, in which Ctrl-C is to leave no traceback; stages/command.py sees to it after them.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

NEEDED = (
    "matplotlib",
    "numba",
    "numpy",
    "pydantic",
    "safetensors",
    "scipy",
    "torch",
    "torchsummary",
    "torchvision",
    "tqdm",
    "yaml",
)

old = sys.version_info < (3, 11)
missing = [name for name in NEEDED if find_spec(name) is None]
if old or missing:
    reason = "older than 3.11" if old else f"without {', '.join(missing)}"
    sys.exit(
        f"{sys.executable} is Python {platform.python_version()} {reason}: run `make repro`,"
        " or `pip install -r requirements.lock` in a Python 3.11 environment that is active"
    )

# The same bytes on every x86-64 processor: one thread, and one instruction set for whoever picks
# by processor (ATen, oneDNN, MKL, and LLVM behind Numba). Each reads its variable when it loads.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ.pop("MKL_DOMAIN_NUM_THREADS", None)
os.environ["ONEDNN_DEFAULT_FPMATH_MODE"] = "STRICT"
if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["MKL_CBWR"] = "COMPATIBLE"
    os.environ["NUMBA_CPU_NAME"] = "haswell"
    os.environ["NUMBA_CPU_FEATURES"] = ""

# cuBLAS is deterministic only with a workspace of fixed size.
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"

# A training step frees and takes the same buffers again. glibc would hand them back to the system
# each time; told to keep them, it saves a page fault for every 4 KiB of every buffer.
if platform.libc_ver()[0] == "glibc":
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
    libc = ctypes.CDLL(None)
    libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
    libc.mallopt(M_TOP_PAD, 1 << 26)
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)  # glibc refuses more
