"""Files appear whole or not at all, and texts are texts."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.errors import UserError


def text(path: Path) -> str:
    """Return the text of a file. Raises UserError when it is none."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is no UTF-8; save it as UTF-8, or `git restore` it"
        ) from None


@contextmanager
def replace(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    Whoever looks at `path` sees the old file or the whole new one. When the block raises, the
    temporary file is removed and `path` is left as it was. Parent folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    # The process id keeps two writers apart; the suffix stays, for writers that go by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        # A write to a full disk fails without saying where.
        error.filename = error.filename or str(path)
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
