"""A machine with one core and little memory."""

import os
import sys
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.faults import one_model

GIGABYTES = 1.2
"""Memory for each model that trains at the same time, as README has it."""
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""Runs a command, and prints the memory of the largest process among all that it started, in KiB.

A process counts with the memory of the one that has forked it, which pytest's may exceed.
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    checkout = one_model.create(tmp_path_factory.mktemp("little"), mnist_folder)
    checkout.set({"train.train_images": 60_000, "train.validation_images": 0})
    return checkout


@pytest.mark.slow
@pytest.mark.xdist_group("little")  # each stage needs the ones before it
@pytest.mark.fault(
    "one core and 2 GiB of memory (ulimit -d) for a stage on all images",
    f"it completes, and takes less than {GIGABYTES} GB",
)
@pytest.mark.parametrize("stage", one_model.STAGES)
def test_stage_needs_one_core_and_little_memory(checkout: Checkout, stage: str) -> None:
    core = min(os.sched_getaffinity(0))
    command = f"ulimit -d 2097152; taskset -c {core} dvc repro --single-item {stage}"
    output = checkout.run(sys.executable, "-c", MEASURE, "bash", "-c", command)
    assert int(output.split()[-1]) * 1024 / 1e9 < GIGABYTES
