"""The code that the engine has compiled, which takes a minute: copies between folders."""

import shutil
from contextlib import suppress
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy what is newer, or missing, from one folder of the study to another, if that is possible.

    It need not be from the same commit, nor copied completely: the engine checks it before use, and
    compiles what it does not find.
    """
    for path in source.glob("study/**/*.nbc"):
        destination = target / path.relative_to(source)
        with suppress(OSError):
            if not destination.exists() or destination.stat().st_mtime < path.stat().st_mtime:
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, destination)
