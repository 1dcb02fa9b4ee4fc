"""A disk that is full: one line that says where and how much, and no half of a file."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.faults import one_model

ROOM = "8m"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which the study of one model has run."""
    checkout = one_model.create(tmp_path_factory.mktemp("full"), mnist_folder)
    checkout.run("dvc", "repro")
    return checkout


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Put a small disk in a folder's place, with the files of the folder and nothing to spare."""
    files = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, files)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        shutil.copytree(files, folder, dirs_exist_ok=True)
        filler = ["dd", "if=/dev/zero", f"of={folder / 'filler'}", "bs=4096"]
        assert subprocess.run(filler, capture_output=True).returncode == 1
        yield
        (folder / "filler").unlink()
        assert contents(folder) == contents(files)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(files)


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, whatever its name."""
    files = (path for path in folder.glob("**/*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def stage(checkout: Checkout, name: str) -> str:
    """The command of a stage, as DVC has a shell run it."""
    shown = checkout.run("dvc", "repro", "--dry", "--force", "--single-item", name)
    (command,) = (line[2:] for line in shown.splitlines() if line.startswith("> "))
    return command


@pytest.mark.slow
@pytest.mark.fault(
    "a full disk (tmpfs) under weights, metrics, predictions, summaries, figures",
    "one line with the path and the bytes it needs; every file there is as it was",
)
@pytest.mark.parametrize(
    ("name", "folder", "path"),
    [
        ("train@model_3", "weights", "weights/model_3.safetensors"),
        ("train@model_3", "metrics/history", "metrics/history/model_3.csv"),
        ("evaluate@model_3", "predictions", "predictions/model_3.csv"),
        ("evaluate@model_3", "metrics", "metrics/confusion/model_3.csv"),
        ("summarize@model_3", "summaries", "summaries/model_3.txt"),
        ("claims", "metrics", "metrics/claims.json"),
        ("report", "reports", "reports/data/accuracy.csv"),
        ("report", "reports/figures", "reports/figures/accuracy.svg"),
    ],
)
def test_full(done: Checkout, name: str, folder: str, path: str) -> None:
    command = stage(done, name)
    with full(done.root / folder):
        status, output = done.attempt("sh", "-c", command)
        assert status == 1
        *before, line = output.splitlines()
        assert line.startswith(f"error: {path}: No space left on device; make room for ")
        assert line.endswith(" bytes, and run again")
        assert "Traceback" not in output
        assert not any(each.startswith("error") for each in before)


@pytest.mark.fault(
    "a full disk (tmpfs) under data/mnist",
    "one line with the path and the bytes it needs; nothing is left there",
)
def test_full_while_downloading(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = Checkout.create(tmp_path, mnist_folder)
    folder = checkout.root / "data/mnist"
    folder.mkdir(parents=True)
    with full(folder):
        status, output = checkout.attempt("python", "-m", "stages.download")
        assert status == 1
        assert output.splitlines()[-1] == (
            "error: data/mnist/train-images-idx3-ubyte: No space left on device;"
            " make room for 47,040,016 bytes, and run again"
        )
