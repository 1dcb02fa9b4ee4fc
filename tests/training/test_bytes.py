"""Training gives the same bytes in every process and on every x86-64 processor with AVX2."""

import ast
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.checkout import ROOT

EMULATOR = shutil.which("qemu-x86_64")
MODELS = ("model_2", "model_5", "model_6")
"""Models that run every kernel: Model 2 has batch normalization, dropout and pooling in one step,
Model 5 rotation by nearest neighbor, Model 6 elastic, bilinear augmentation and EMA."""


def few_batches(folder: Path, cache: Path, *emulator: str, **variables: str) -> str:
    """Run few_batches.py, with kernels compiled anew, as on a machine without Numba's cache."""
    return subprocess.run(
        [*emulator, sys.executable, "-m", "tests.few_batches", str(folder), *MODELS],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=1500,
    ).stdout


@pytest.mark.slow
def test_processes_with_other_settings_give_the_same_bytes(
    mnist_folder: Path, tmp_path: Path
) -> None:
    """The user's settings allow more threads and reduced precision, to no effect."""
    first = few_batches(mnist_folder, tmp_path / "first")
    assert len(first.splitlines()) == len(MODELS)
    # Numba has compiled, so these models run, every kernel except those that no model needs.
    compiled = {path.name.split("-")[0] for path in (tmp_path / "first").glob("**/*.nbc")}
    assert compiled == kernels() - {"taps.forward", "taps.backward"}
    settings = {
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "MKL_DOMAIN_NUM_THREADS": "2",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    assert few_batches(mnist_folder, tmp_path / "second", **settings) == first


def kernels() -> set[str]:
    """Return module and name of each function that is decorated with `@entry`."""
    return {
        f"{path.stem}.{node.name}"
        for path in (ROOT / "study").rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and "entry" in map(ast.unparse, node.decorator_list)
    }


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulated processors are x86-64")
@pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 (Debian package qemu-user)")
def test_emulated_processors_give_the_same_bytes(mnist_folder: Path, tmp_path: Path) -> None:
    """All at once: to compile the kernels takes minutes in an emulator."""

    def run(processor: str) -> str:
        emulator = (str(EMULATOR), "-cpu", processor) if processor != "native" else ()
        return few_batches(mnist_folder, tmp_path / processor, *emulator)

    processors = ("native", "Haswell", "EPYC-Rome")
    with ThreadPoolExecutor() as pool:
        outputs = dict(zip(processors, pool.map(run, processors), strict=True))
    assert len(outputs["native"].splitlines()) == len(MODELS)
    assert outputs["Haswell"] == outputs["native"]
    assert outputs["EPYC-Rome"] == outputs["native"]


@pytest.mark.slow
def test_verify_trains_the_committed_weights_again() -> None:
    """For the smallest model; `make verify` does it for all."""
    subprocess.run([sys.executable, "-m", "tests.verify", "model_3"], cwd=ROOT, check=True)
