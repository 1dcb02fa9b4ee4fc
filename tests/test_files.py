import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from study.base.errors import UserError
from study.base.files import write


def test_a_file_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "file.csv"
    rename = Path.replace

    def watched(self: Path, target: Path) -> Path:
        assert not path.exists()
        assert self.read_text("utf-8") == "whole"
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write(path, "whole")
    assert path.read_text("utf-8") == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "before")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"file: File too large; make room for 2,000 bytes"):
            write(path, 2000 * "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


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
    write(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *of_others])
