"""Clones of the study in which runs are executed, apart from the files that a user edits."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from experiments import compiled, dvc, git
from experiments.folder import FOLDER, WORKSPACES
from study.base.errors import UserError

NEEDED = 256 * 2**20
"""Bytes of a workspace: the raw data, the outputs, and DVC's copies of both."""


def create(name: str, revision: str, cache: Path) -> Path:
    """Clone a commit into a new workspace; return the study's folder in it. Raises UserError.

    DVC has the same configuration there as here, and the folder `cache` as its cache.
    """
    target = clone_root(name)
    shutil.rmtree(target, ignore_errors=True)
    check_room(1)
    # It shares the objects of this repository.
    git.call("clone", "--quiet", "--shared", "--no-checkout", root(), str(target))
    git.call("checkout", "--quiet", "--detach", revision, folder=target)
    for key, value in git.identity().items():
        git.call("config", key, value, folder=target)
    study = target / prefix()
    with suppress(FileNotFoundError):
        shutil.copy(".dvc/config.local", study / ".dvc")
    compiled.copy(Path(), study)
    dvc.call("cache", "dir", "--local", str(cache), folder=study)
    return study


def check_room(count: int) -> None:
    """Raise UserError if the disk has no room for some more workspaces.

    A run that fails for lack of room would not say so where the user sees it.
    """
    if (free := shutil.disk_usage(FOLDER).free) < count * NEEDED:
        raise UserError(
            f"{WORKSPACES}: takes up to {count * NEEDED // 2**20} MiB with JOBS={count}, but only"
            f" {free // 2**20} MiB are free; make room, or rerun `make experiments` with fewer JOBS"
        )


def clone_root(name: str) -> Path:
    """Return the root of a workspace's repository, which may be above the study's folder.

    It is absolute: Git takes the path of another repository from the root, not from this folder.
    """
    return (WORKSPACES / name).absolute()


def root() -> str:
    """Return the root of the repository that has the study."""
    return git.call("rev-parse", "--show-toplevel").rstrip("\n")


def prefix() -> str:
    """Return the study's folder in its repository: `studies/mnist/`, or "" for the root."""
    return git.call("rev-parse", "--show-prefix").rstrip("\n")


def remove_all() -> None:
    """Remove all workspaces, and kill what still works in them: the rest of a killed program.

    Compiled code is kept here.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or belongs to another user
            if Path(process.cwd()).is_relative_to(WORKSPACES.resolve()):
                process.kill()
    for each in WORKSPACES.glob("*"):
        compiled.copy(each / prefix(), Path())
    shutil.rmtree(WORKSPACES, ignore_errors=True)
