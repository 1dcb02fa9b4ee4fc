"""Small disks and read-only folders; tests that need them are skipped unless root runs them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Put an empty disk of `size` (`8m`: 8 MiB) in the place of a folder."""
    with _mounted("-t", "tmpfs", "-o", f"size={size}", "none", str(folder)):
        yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, even for root."""
    with _mounted("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield


@contextmanager
def _mounted(*arguments: str) -> Iterator[None]:
    if subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    try:
        yield
    finally:
        # A process that ends may still have a file open there.
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)
