import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.base.errors import UserError
from study.base.files import read_text, write
from tests.errors import message_of


def test_read_text_skips_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 1 # \xc3\xa9\n")
    assert read_text(path) == "seed: 1 # é\n"


def test_read_text_names_the_first_byte_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes("seed: 1 # é\n".encode("latin-1"))
    message = message_of(lambda: read_text(path))
    assert message.startswith(f"{path}: ")
    assert "UTF-8 (byte 10)" in message


def test_write_shows_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_write_keeps_bytes_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"\0\r\n\n\xff")
    assert path.read_bytes() == b"\0\r\n\n\xff"
    write(path, "a\nb é\n")
    assert path.read_bytes() == b"a\nb \xc3\xa9\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_write_to_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    import resource
    import signal

    path = tmp_path / "file"
    write(path, "before")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        message = message_of(lambda: write(path, 2000 * "x"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert message.startswith(f"{path}: {os.strerror(errno.EFBIG)}")
    assert "2,000 bytes" in message
    assert path.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_write_reports_each_kind_of_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=os.strerror(number)):
        write(tmp_path / "file", "x")


@pytest.mark.fault("kill -9 while a file is written", "the next writer removes the partial file")
def test_write_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        pass
    path = tmp_path / "file.csv"
    left = tmp_path / f".file.{killed.pid}.csv"
    of_others = [
        tmp_path / f".file.{os.getppid()}.csv",  # a writer at work
        tmp_path / f".file.csv.{killed.pid}.csv",  # of another path
        tmp_path / f"file.{killed.pid}.csv",  # a file
    ]
    for each in (left, *of_others):
        each.write_text("half")
    write(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *of_others])
