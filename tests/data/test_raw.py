import math
import struct
from pathlib import Path

import pytest

from study.data import raw
from tests.errors import message_of

NAME = "t10k-labels-idx1-ubyte"


def test_read_rejects_a_damaged_file(mnist_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to(mnist_folder / NAME)
    assert raw.read(path).tobytes() == (mnist_folder / NAME).read_bytes()[8:]

    # The checksum is verified at every read, not only at the first.
    damaged = (mnist_folder / NAME).read_bytes()[:-1] + b"\xff"
    path.unlink()
    path.write_bytes(damaged)
    message = message_of(lambda: raw.read(path))
    for part in (str(path), raw.sha256(damaged), raw.SHA256[NAME], "dvc repro --force download"):
        assert part in message


@pytest.mark.parametrize(
    ("sizes", "label", "parts"),
    [
        ((124_800,), 0, ("10000",)),
        ((100, 100), 0, ("10000",)),
        ((10_000,), 10, ("below 10", "got 10")),
    ],
    ids=["number", "axes", "classes"],
)
def test_read_names_what_the_code_is_not_made_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[int, ...],
    label: int,
    parts: tuple[str, ...],
) -> None:
    """As after a change of SHA256: EMNIST has files with these names, too."""
    header = struct.pack(f">4B{len(sizes)}I", 0, 0, 8, len(sizes), *sizes)
    content = header + bytes(math.prod(sizes) - 1) + bytes([label])
    path = tmp_path / NAME
    path.write_bytes(content)
    monkeypatch.setitem(raw.SHA256, NAME, raw.sha256(content))
    message = message_of(lambda: raw.read(path))
    assert message.startswith(f"{path}: ")
    assert all(part in message for part in (*parts, "docs/extending.md")), message


def test_read_names_a_missing_file_and_the_remedy(tmp_path: Path) -> None:
    message = message_of(lambda: raw.read(tmp_path / NAME))
    assert str(tmp_path / NAME) in message
    assert "`dvc repro download`" in message
