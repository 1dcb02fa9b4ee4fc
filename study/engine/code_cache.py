"""The cache of compiled code on disk: each file is checked before it is used.

Numba's own cache unpickles and runs whatever its files contain, so that a damaged file ends the
process, and cannot be switched off where nothing may be written.
"""

import os
import pickle
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import cache_from_source
from inspect import getfile
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from study.base import files
from study.base.errors import UserError

SUM_SIZE = sha256().digest_size
"""Bytes of the checksum at the start of a file."""
config: Any = numba.config
SETTINGS = "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"
"""Numba's settings that change the code."""
VERSIONS = sys.version, numba.__version__, llvmlite.__version__, np.__version__
ROOT = Path(__file__).absolute().parents[2]
"""Folder of this project."""
IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)(?: import (\([^)]*\)|.*))?", re.MULTILINE)
"""An import statement: a module, and what is imported from it."""


class CodeCache(NullCache):  # type: ignore[misc]
    """The compiled code of a function, in one file for each signature and processor.

    A file starts with the SHA-256 of its other bytes and of everything that they were compiled
    from. If that is wrong or the file cannot be read, the function is compiled anew. If it cannot
    be written, there is no cache.

    The files are next to the module's .pyc file: whoever may write there can already make Python
    run any code. NUMBA_CACHE_DIR names another folder. There, too, files are ignored unless the
    user or the owner of the module owns them.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read the source code now, while the function's module is loaded: it may change later."""
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self.source = Path(getfile(function)).absolute()
        self.compiled_from = repr((VERSIONS, source_code(self.source))).encode()

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return the function compiled for a signature, or None if there is no sound file."""
        target_context.refresh()
        path = self.path(sig, target_context.codegen())
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_uid not in (self.source.stat().st_uid, user()):
                    return None
                found = file.read()
        except OSError:
            return None
        code = found[SUM_SIZE:]
        if found != self.sealed(path, code):
            return None
        compiled: CompileResult = CompileResult._rebuild(target_context, *pickle.loads(code))
        return compiled

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the file of a compiled function, if possible. Another process may do so, too."""
        if data.library.has_dynamic_globals:  # addresses in this process
            return
        path = self.path(sig, data.codegen)
        with suppress(OSError, UserError):
            files.write(path, self.sealed(path, dumps(data._reduce())))

    def path(self, signature: Any, codegen: Any) -> Path:
        """Return the path of the file for a signature, the processor, Python and Numba's settings.

        Code for other versions or of another state of the source has the same path: it is replaced.
        """
        settings = [getattr(config, name) for name in SETTINGS]
        target = signature, codegen.magic_tuple(), sys.implementation.cache_tag, settings
        digest = sha256(repr(target).encode()).hexdigest()
        return self.folder() / f"{self.name}-{digest[:16]}.nbc"

    def folder(self) -> Path:
        """Return the folder of the files; below NUMBA_CACHE_DIR, each source folder has its own."""
        if config.CACHE_DIR:
            digest = sha256(os.fsencode(self.source.parent)).hexdigest()
            return Path(config.CACHE_DIR) / digest[:16]
        return Path(cache_from_source(str(self.source))).parent

    def sealed(self, path: Path, code: bytes) -> bytes:
        """Return the content of a file: checksum and code, valid under this name only."""
        return sha256(path.name.encode() + self.compiled_from + code).digest() + code


def user() -> int:
    """Return the id of the user; on Windows, all files have the same owner, 0."""
    return os.geteuid() if os.name == "posix" else 0


def source_code(source: Path) -> list[str]:
    """Return the SHA-256 of a module and of all modules of this project that it imports.

    The compiled code includes their functions and constants.
    """
    sums: dict[Path, str] = {}
    left = [source]
    while left:
        path = left.pop()
        if path not in sums:
            sums[path], imported = sum_and_imports(path)
            left += imported
    return sorted(sums.values())


@cache
def sum_and_imports(source: Path) -> tuple[str, list[Path]]:
    """Return the SHA-256 of a module, and the modules of this project that it imports itself."""
    text = source.read_bytes()
    names: list[str] = []
    for module, parts in IMPORT.findall(text.decode()):
        names += [module, *(f"{module}.{part}" for part in re.findall(r"\w+", parts))]
    places = [ROOT.joinpath(*name.split(".")) for name in names]
    modules = [path for place in places for path in (place / "__init__.py", Path(f"{place}.py"))]
    return sha256(text).hexdigest(), [path for path in modules if path.is_file()]
