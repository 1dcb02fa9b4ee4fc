"""One module per DVC stage, and what they share.

Importing this package checks Python and its packages.
"""

import platform
import signal
import sys
from importlib.util import find_spec

# While `-m` looks for the stage's module, the module's name is not yet in argv. The imports that
# follow take seconds; Ctrl-C must not leave a traceback in that time either.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

NEEDED = (
    "dvc",
    "filelock",
    "jinja2",
    "llvmlite",
    "matplotlib",
    "numba",
    "numpy",
    "pathspec",
    "psutil",
    "pydantic",
    "safetensors",
    "scipy",
    "torch",
    "torchsummary",
    "tqdm",
    "yaml",
)
"""Names under which code imports the packages; pyproject.toml has their distributions."""

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"error: Python must be 3.11 or newer, {sys.executable} is {platform.python_version()};"
        " run `make repro`, which creates .venv"
    )
if missing := [name for name in NEEDED if find_spec(name) is None]:
    sys.exit(
        f"error: not installed for {sys.executable}: {', '.join(missing)}; run `make repro`, which"
        " creates .venv, or `pip install -r requirements.lock`"
    )

# As early as possible: changes and signals before these imports go unnoticed.
from stages import dependencies, lifetime  # noqa: E402, F401

DEPENDENCIES = dependencies.checksums()
"""Checksums of what this stage depends on, taken at import."""
