"""Files appear whole or not at all, and texts are texts."""

import errno
import os
import re
from pathlib import Path

from study.base.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write fails with when the disk is full, or what the user may have of it."""


def read_text(path: Path) -> str:
    """Return the text of a file. Raises UserError when it is none."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is no UTF-8; save it as UTF-8, or `git restore` it"
        ) from None


def write(path: Path, content: str | bytes) -> None:
    """Write a file by way of a temporary one beside it. Parent folders are created.

    Whoever looks at `path` sees the old file or the whole new one. Raises UserError, and leaves
    `path` as it was, when the disk is full.
    """
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    # The process id keeps two writers apart.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        temporary.write_bytes(raw)
        temporary.replace(path)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise UserError(
                f"{path}: {error.strerror}; make room for {len(raw):,} bytes, and run again"
            ) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` on this machine left beside it because they were killed."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.([0-9]{{1,9}}){re.escape(path.suffix)}")
    for neighbour in path.parent.glob(".*"):
        if (writer := name.fullmatch(neighbour.name)) and not is_running(int(writer[1])):
            neighbour.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
