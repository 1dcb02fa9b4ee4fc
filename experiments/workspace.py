"""Clones of the study in which runs are executed, apart from the files that a user edits."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from experiments import dvc, git
from experiments.folder import WORKSPACES


def create(name: str, revision: str, cache: Path) -> Path:
    """Clone a commit into a new workspace; return the study's folder in it. Raises UserError.

    DVC has the same configuration there as here, and the folder `cache` as its cache.
    """
    clone = WORKSPACES / name
    shutil.rmtree(clone, ignore_errors=True)
    top = git.call("rev-parse", "--show-toplevel").rstrip("\n")
    # It shares the objects of this repository.
    git.call("clone", "--quiet", "--shared", "--no-checkout", top, str(clone))
    git.call("checkout", "--quiet", "--detach", revision, folder=clone)
    for key, value in git.identity().items():
        git.call("config", key, value, folder=clone)
    study = clone / git.call("rev-parse", "--show-prefix").rstrip("\n")
    with suppress(FileNotFoundError):
        shutil.copy(".dvc/config.local", study / ".dvc")
    # What Numba has compiled, which takes a minute, if it has been compiled here.
    for compiled in Path("study").rglob("*.nb[ic]"):
        (study / compiled).parent.mkdir(exist_ok=True)
        shutil.copy(compiled, study / compiled)
    dvc.call("cache", "dir", "--local", str(cache), folder=study)
    return study


def remove_all() -> None:
    """Remove all workspaces, and kill what still works in them: the rest of a killed program."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or belongs to another user
            if Path(process.cwd()).is_relative_to(WORKSPACES.absolute()):
                process.kill()
    shutil.rmtree(WORKSPACES, ignore_errors=True)
