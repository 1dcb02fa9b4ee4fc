"""The same bytes on every x86-64 processor, held against emulated ones."""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import models

ROOT = Path(__file__).parent.parent
EMULATOR = shutil.which("qemu-x86_64")


def few_batches(folder: Path, cache: Path, *emulator: str, **variables: str) -> str:
    """Run few_batches.py, with kernels compiled anew, as on a machine that never saw them."""
    return subprocess.run(
        [*emulator, sys.executable, "-m", "tests.few_batches", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=1500,
    ).stdout


def test_two_processes_give_the_same_bytes(mnist_folder: Path, tmp_path: Path) -> None:
    """Also where somebody has asked for more threads, or for less exact products."""
    first = few_batches(mnist_folder, tmp_path / "first")
    assert len(first.splitlines()) == len(models.names())
    asked = {
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "MKL_DOMAIN_NUM_THREADS": "2",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    assert few_batches(mnist_folder, tmp_path / "second", **asked) == first


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulated processors are x86-64")
@pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 (Debian package qemu-user)")
def test_emulated_processors_give_the_same_bytes(mnist_folder: Path, tmp_path: Path) -> None:
    """All at once: emulated, compiling the kernels alone takes minutes."""

    def run(processor: str) -> str:
        emulator = (str(EMULATOR), "-cpu", processor) if processor != "native" else ()
        return few_batches(mnist_folder, tmp_path / processor, *emulator)

    processors = ("native", "Haswell", "EPYC-Rome")
    with ThreadPoolExecutor() as pool:
        outputs = dict(zip(processors, pool.map(run, processors), strict=True))
    assert len(outputs["native"].splitlines()) == len(models.names())
    assert outputs["Haswell"] == outputs["native"]
    assert outputs["EPYC-Rome"] == outputs["native"]


@pytest.mark.slow
def test_what_is_committed_comes_out_again() -> None:
    """For the smallest model; `make verify` does it for all."""
    subprocess.run([sys.executable, "-m", "tests.verify", "model_3"], cwd=ROOT, check=True)
