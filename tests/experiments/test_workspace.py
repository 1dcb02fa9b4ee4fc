"""The clones in which runs are executed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import compiled, dvc, git, workspace
from experiments.folder import FOLDER, WORKSPACES
from study.base.errors import UserError
from study.base.files import write
from tests.experiments.examples import commit

CODE = Path("study/engine/__pycache__/kernel.nbc")


@pytest.mark.parametrize("folder", [".", "studies/mnist"])
def test_workspace_has_the_files_of_the_commit_and_the_settings_of_the_user(
    repository: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    dvc.call("init", "--quiet", *(["--subdir"] if folder != "." else []))
    FOLDER.mkdir(parents=True)
    dvc.call("config", "--local", "cache.type", "symlink")
    write(Path("params.yaml"), "committed\n")
    git.call("add", ".")
    revision = commit("A study")
    write(Path("params.yaml"), "edited\n")
    write(CODE, "compiled")
    study = workspace.create("0", revision, dvc.cache())
    assert study == workspace.clone_root("0") / folder
    assert (study / "params.yaml").read_text() == "committed\n"
    assert (study / CODE).read_text() == "compiled"
    assert git.call("config", "user.name", folder=study) == "A user\n"
    assert dvc.call("cache", "dir", folder=study).strip() == str(dvc.cache())
    assert dvc.call("config", "cache.type", folder=study) == "symlink\n"

    write(study / "params.yaml", "half-written")
    study = workspace.create("0", revision, dvc.cache())
    assert (study / "params.yaml").read_text() == "committed\n"


def test_workspaces_must_have_room_for_all_at_once(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FOLDER.mkdir(parents=True)
    monkeypatch.setattr(workspace, "NEEDED", shutil.disk_usage(FOLDER).free // 3)
    workspace.check_room(2)
    with pytest.raises(UserError, match="JOBS=4"):
        workspace.check_room(4)


def test_removal_ends_what_works_in_a_workspace_and_keeps_compiled_code(repository: Path) -> None:
    clone = WORKSPACES / "0"
    write(clone / CODE, "compiled")
    command = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(command, cwd=clone, stdin=subprocess.PIPE) as inside,
        subprocess.Popen(command, stdin=subprocess.PIPE) as outside,
    ):
        workspace.remove_all()
        assert inside.wait(10) != 0
        assert outside.poll() is None
        outside.kill()
    assert not WORKSPACES.exists()
    assert CODE.read_text() == "compiled"


def test_compiled_code_replaces_older_code_only(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, text, time in ((here, "new", 2), (there, "old", 1)):
        write(folder / CODE, text)
        os.utime(folder / CODE, (time, time))
    compiled.copy(there, here)
    assert (here / CODE).read_text() == "new"
    compiled.copy(here, there)
    assert (there / CODE).read_text() == "new"


def test_compiled_code_that_cannot_be_written_is_not_copied(tmp_path: Path) -> None:
    write(tmp_path / "here" / CODE, "new")
    write(tmp_path / "there/study", "no folder")
    compiled.copy(tmp_path / "here", tmp_path / "there")
    assert (tmp_path / "there/study").read_text() == "no folder"
