"""Reading text, and writing files that appear whole or not at all."""

import errno
import os
import re
from pathlib import Path

import psutil

from study.base.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write fails with when the disk or the user's quota is full."""


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file. Raises UserError if it is not UTF-8."""
    try:
        return path.read_text("utf-8-sig")  # editors may put a mark first
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not valid UTF-8 (byte {error.start}); save it as UTF-8, or `git restore` it"
        ) from None


def write(path: Path, content: str | bytes) -> None:
    """Write a file through a temporary one next to it. Parent folders are created.

    A reader of `path` sees the old file or the whole new one. Raises UserError, and leaves `path`
    as it was, if the disk is full.
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
    """Remove the temporary files of killed writers of `path` on this machine."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.([0-9]{{1,9}}){re.escape(path.suffix)}")
    for neighbor in path.parent.glob(".*"):
        if (writer := name.fullmatch(neighbor.name)) and not psutil.pid_exists(int(writer[1])):
            neighbor.unlink(missing_ok=True)
