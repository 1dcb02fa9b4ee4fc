"""Paths of what `make experiments` keeps in a folder of its own, which Git ignores."""

from pathlib import Path

FOLDER = Path(".dvc/tmp/experiments")
LOCK = FOLDER / "lock"
WORKSPACES = FOLDER / "workspaces"
"""A clone of the study for each run at a time; removed at the end."""
RATES = FOLDER / "rates.json"
"""Seconds per epoch of each configuration, in its last run."""


def log(name: str) -> Path:
    """Return the file for the output of a run."""
    return FOLDER / f"{name}.log"
