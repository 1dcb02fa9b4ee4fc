"""More than one at work: both end right, or one waits or says so."""

import re
from pathlib import Path

import pytest

from tests.faults import one_model


@pytest.mark.slow
@pytest.mark.fault(
    "two `dvc repro` at once in one checkout",
    "the second says what is busy, and by whom; the first ends right",
)
def test_two_in_one_checkout(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = one_model.create(tmp_path, mnist_folder)
    with checkout.start("dvc", "repro") as first:
        assert first.stdout is not None
        next(line for line in first.stdout if "Running stage" in line)
        status, output = checkout.attempt("dvc", "repro")
        assert first.poll() is None
        assert status != 0
        assert re.search(r"is busy, it is being blocked by:\s+\(PID \d+\): \S*dvc repro", output), (
            output
        )
        assert "Traceback" not in output
        first.communicate()
    assert first.returncode == 0
    assert "Data and pipelines are up to date." in checkout.run("dvc", "repro")


@pytest.mark.slow
@pytest.mark.fault(
    "two checkouts with one DVC cache, and `dvc repro` in both at once",
    "both end, with the same bytes",
)
def test_one_cache(tmp_path: Path, mnist_folder: Path) -> None:
    both = [one_model.create(tmp_path / name, mnist_folder) for name in ("one", "other")]
    for checkout in both:
        checkout.run("dvc", "config", "--local", "cache.dir", str(tmp_path / "cache"))
    at_work = [checkout.start("dvc", "repro") for checkout in both]
    for process in at_work:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    one, other = (checkout.outputs() for checkout in both)
    assert one == other
    assert f"weights/{one_model.MODEL}.safetensors" in one
