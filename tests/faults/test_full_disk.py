"""A full disk: one line with the path and the bytes it needs, and no partial file."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.faults import one_model
from tests.faults.one_model import EVALUATE, HISTORY, MODEL, SUMMARIZE, TRAIN, WEIGHTS
from tests.mounts import small_disk


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    checkout = one_model.create(tmp_path_factory.mktemp("full"), mnist_folder)
    checkout.run("dvc", "repro")
    return checkout


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Put a small, full disk in the place of a folder, with the folder's files on it."""
    files = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, files)
    try:
        with small_disk(folder, "8m"):
            shutil.copytree(files, folder, dirs_exist_ok=True)
            filler = ["dd", "if=/dev/zero", f"of={folder / 'filler'}", "bs=4096"]
            assert subprocess.run(filler, capture_output=True).returncode == 1
            yield
            (folder / "filler").unlink()
            assert contents(folder) == contents(files)
    finally:
        shutil.rmtree(files)


def contents(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder, hidden ones included."""
    files = (path for path in folder.glob("**/*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.xdist_group("full_disk")
@pytest.mark.fault(
    "a full disk (tmpfs) under weights, metrics, predictions, summaries, reports or page",
    "one line with the path and the bytes needed; every file is unchanged",
)
@pytest.mark.parametrize(
    ("stage", "folder", "path"),
    [
        (TRAIN, "weights", WEIGHTS),
        (TRAIN, "metrics/history", HISTORY),
        (EVALUATE, "predictions", f"predictions/{MODEL}.csv"),
        (EVALUATE, "metrics", f"metrics/confusion/{MODEL}.csv"),
        (SUMMARIZE, "summaries", f"summaries/{MODEL}.txt"),
        ("claims", "metrics", "metrics/claims.json"),
        ("report", "reports", "reports/data/accuracy.csv"),
        ("report", "reports/figures", "reports/figures/confusion.svg"),
        ("page", "page", "page/index.html"),
    ],
)
def test_stage_keeps_every_file_when_the_disk_is_full(
    reproduced: Checkout, stage: str, folder: str, path: str
) -> None:
    name, _, model = stage.partition("@")
    with full(reproduced.root / folder):
        status, output = reproduced.attempt(
            "python", "-m", f"stages.{name}", *([model] * bool(model))
        )
        assert status == 1
        (line,) = (line for line in output.splitlines() if line.startswith("error: "))
        assert line == output.splitlines()[-1]
        assert line.startswith(f"error: {path}: No space left on device")
        assert " bytes" in line
        assert "Traceback" not in output


@pytest.mark.fault(
    "a full disk (tmpfs) under data/mnist",
    "one line with the path and the bytes needed; no file is left",
)
def test_download_leaves_nothing_when_the_disk_is_full(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = Checkout.create(tmp_path, mnist_folder)
    folder = checkout.root / "data/mnist"
    folder.mkdir(parents=True)
    with full(folder):
        status, output = checkout.attempt("python", "-m", "stages.download")
        assert status == 1
        line = output.splitlines()[-1]
        assert line.startswith("error: data/mnist/train-images-idx3-ubyte: No space left on device")
        assert "47,040,016 bytes" in line
