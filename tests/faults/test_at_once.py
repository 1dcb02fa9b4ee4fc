"""Two commands at once: both end right, or one says that it has to wait."""

import re
from pathlib import Path

import pytest

from tests.faults import one_model

pytestmark = pytest.mark.slow


@pytest.mark.fault(
    "two `dvc repro` at once in one checkout",
    "the second names the process that holds the lock; the first one completes",
)
def test_second_repro_names_the_first(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = one_model.create(tmp_path, mnist_folder)
    with checkout.start("dvc", "repro") as first:
        assert first.stdout is not None
        next(line for line in first.stdout if "Running stage" in line)
        status, output = checkout.attempt("dvc", "repro")
        assert first.poll() is None
        assert status != 0
        assert re.search(r"busy.*blocked by:\s+\(PID \d+\): \S*dvc repro", output), output
        assert "Traceback" not in output
        first.communicate()
    assert first.returncode == 0
    assert checkout.due() == []


@pytest.mark.fault(
    "`dvc repro` at once in two checkouts that share a DVC cache",
    "both complete, with the same bytes",
)
def test_checkouts_with_one_cache_get_the_same_bytes(tmp_path: Path, mnist_folder: Path) -> None:
    checkouts = [one_model.create(tmp_path / name, mnist_folder) for name in ("one", "other")]
    for checkout in checkouts:
        checkout.run("dvc", "config", "--local", "cache.dir", str(tmp_path / "cache"))
    for process in [checkout.start("dvc", "repro") for checkout in checkouts]:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    one, other = (checkout.outputs() for checkout in checkouts)
    assert one == other
    assert one_model.WEIGHTS in one
