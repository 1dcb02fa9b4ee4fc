import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.files import replace


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.csv"
    with replace(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".csv"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), replace(path) as temporary:
        temporary.write_text("half") and temporary.write_text(None)  # type: ignore[arg-type]
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="No space left") as raised, replace(path):
        Path("/dev/full").write_text("more than fits")
    assert raised.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        pass
    path = tmp_path / "file.csv"
    left = tmp_path / f".file.{killed.pid}.csv"
    of_others = [
        tmp_path / f".file.{os.getppid()}.csv",  # a writer that is at it
        tmp_path / f".file.csv.{killed.pid}.csv",  # of another path
        tmp_path / f"file.{killed.pid}.csv",  # a file
    ]
    for each in (left, *of_others):
        each.write_text("half")
    with replace(path) as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *of_others])
