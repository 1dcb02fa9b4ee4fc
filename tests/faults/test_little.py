"""A machine with one core and little memory."""

import os
import re
from pathlib import Path

import pytest

from tests.checkout import ROOT, Checkout
from tests.faults import one_model

(GIGABYTES,) = re.findall(
    r"(\S+) GB of memory for each model", " ".join((ROOT / "README.md").read_text("utf-8").split())
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    checkout = one_model.create(tmp_path_factory.mktemp("little"), mnist_folder)
    checkout.set({"train.train_images": 60_000})
    return checkout


@pytest.mark.slow
@pytest.mark.fault(
    "one core, and 2 GiB of memory of its own (ulimit -d), for a stage on all images",
    f"it ends right, and takes less than {GIGABYTES} GB",
)
@pytest.mark.parametrize("stage", one_model.STAGES)
def test_one_core_and_little_memory(checkout: Checkout, stage: str) -> None:
    core = min(os.sched_getaffinity(0))
    command = f"ulimit -d 2097152; taskset -c {core} dvc repro --single-item {stage}"
    with checkout.start("bash", "-c", command) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    peak = usage.ru_maxrss * 1024 / 1e9  # of the largest process of all that it started
    assert peak < float(GIGABYTES)
