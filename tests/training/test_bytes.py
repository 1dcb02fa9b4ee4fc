"""Training gives the same bytes in every process, on every processor, by every compiler."""

import ast
import functools
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from llvmlite.binding import get_host_cpu_features

from study.recipes import recipe_file
from tests import arm64, verify
from tests.checkout import ROOT
from tests.few_batches import OTHER
from tests.recipes import recipe

X86_EMULATOR = shutil.which("qemu-x86_64")
TARGETS = {"Haswell": "haswell", "EPYC-Rome": "haswell", "SandyBridge": "sandybridge"}
"""Emulated processors, and LLVM's name of the processor that kernels are compiled for. SandyBridge
has neither AVX2 nor FMA."""
FEATURES = {
    "sandybridge": "avx",
    "haswell": "avx2",
    "skylake-avx512": "avx512f",
    "znver4": "avx512f",
}
"""LLVM's name of processors, and of the feature that each needs."""
OLDEST_COMPILER = ("numba==0.61.2", "llvmlite==0.44.0", "numpy==2.2.6")
"""The oldest versions in pyproject.toml: LLVM 15."""
MODELS = ("model_5", "model_6", OTHER)
"""Models that run every kernel that Python calls: Model 5 has dropout, pooling and rotation by the
nearest neighbor, Model 6 elastic, bilinear augmentation and EMA."""

together = pytest.mark.xdist_group("bytes")
"""For tests that share compiled kernels."""


def run(*python: str, code: str, arguments: Iterable[str] = (), **variables: str) -> str:
    """Return what a `python` prints that runs code."""
    return subprocess.run(
        [*(python or [sys.executable]), "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=3000,
    ).stdout


def few_batches(
    folder: Path,
    *python: str,
    before: str = "",
    after: str = "",
    models: Iterable[str] = MODELS,
    **variables: str,
) -> list[str]:
    """Return the lines of few_batches.py, run by a `python` between other code."""
    code = f"{before}\nfrom tests import few_batches\nfew_batches.main()\n{after}"
    return run(*python, code=code, arguments=[str(folder), *models], **variables).splitlines()


@pytest.fixture(scope="module")
def expected(mnist_folder: Path) -> list[str]:
    """The lines of few_batches.py on this processor."""
    lines = few_batches(mnist_folder)
    assert [line.split()[0] for line in lines] == [*MODELS]
    return lines


@pytest.fixture(scope="module")
def compiled(
    mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, str]]:
    """Compiles for a processor; returns the variables with which Python then uses this code."""

    @functools.cache
    def variables(processor: str) -> dict[str, str]:
        target = {
            "NUMBA_CPU_NAME": processor,
            "NUMBA_CPU_FEATURES": "",
            "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp(processor)),
        }
        few_batches(mnist_folder, **target)
        return target

    return variables


@pytest.mark.slow
@together
def test_few_batches_run_every_entry(mnist_folder: Path) -> None:
    after = """
import sys
from numba.core.dispatcher import Dispatcher
for module in [sys.modules[name] for name in sys.modules if name.startswith("study.")]:
    for value in vars(module).values():
        if isinstance(value, Dispatcher) and value.signatures:
            print(f"{value.__module__}.{value.__name__}")
"""
    assert entries() <= {*few_batches(mnist_folder, after=after)}


def entries() -> set[str]:
    """Return module and name of each function that is decorated with `@entry`."""
    return {
        ".".join([*path.relative_to(ROOT).with_suffix("").parts, node.name])
        for path in (ROOT / "study").rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and "entry" in map(ast.unparse, node.decorator_list)
    }


@pytest.mark.slow
@together
def test_process_with_other_settings_gives_the_same_bytes(
    mnist_folder: Path, expected: list[str]
) -> None:
    """The user's settings allow more threads and reduced precision, to no effect."""
    settings = {
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "MKL_DOMAIN_NUM_THREADS": "2",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    assert few_batches(mnist_folder, **settings) == expected


@pytest.mark.slow
@together
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors are x86-64")
@pytest.mark.parametrize("processor", FEATURES)
def test_code_for_another_processor_gives_the_same_bytes(
    processor: str,
    mnist_folder: Path,
    expected: list[str],
    compiled: Callable[[str], dict[str, str]],
) -> None:
    """Without FMA (SandyBridge), the C library's fma computes the same, in software."""
    if not get_host_cpu_features().get(FEATURES[processor]):
        pytest.skip(f"this processor has no {FEATURES[processor]}")
    assert few_batches(mnist_folder, **compiled(processor)) == expected


@pytest.mark.slow
@together
@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulated processors are x86-64")
@pytest.mark.skipif(X86_EMULATOR is None, reason="no qemu-x86_64 (Debian package qemu-user)")
@pytest.mark.parametrize("processor", TARGETS)
def test_emulated_x86_processor_gives_the_same_bytes(
    processor: str,
    mnist_folder: Path,
    expected: list[str],
    compiled: Callable[[str], dict[str, str]],
) -> None:
    """The kernels are compiled outside of the emulator, where it takes a tenth of the time."""
    emulated = (str(X86_EMULATOR), "-cpu", processor, sys.executable)
    assert few_batches(mnist_folder, *emulated, **compiled(TARGETS[processor])) == expected


@pytest.mark.slow
@together
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the emulated processor is x86-64")
@pytest.mark.skipif(X86_EMULATOR is None, reason="no qemu-x86_64 (Debian package qemu-user)")
def test_train_stage_without_avx2_says_so_and_gives_the_same_bytes(
    mnist_folder: Path, tmp_path: Path, compiled: Callable[[str], dict[str, str]]
) -> None:
    few = recipe(epochs=1, batch_size=8, train_images=12, validation_images=12)
    text = recipe_file.to_yaml(few, recipe_file.versions())
    emulator = (str(X86_EMULATOR), "-cpu", "SandyBridge")
    weights, logs = [], []
    for folder, before in ((tmp_path / "here", ()), (tmp_path / "emulated", emulator)):
        for path in ("recipes", "data", "weights", "metrics/history"):
            (folder / path).mkdir(parents=True)
        (folder / "recipes/model_5.yaml").write_text(text, "utf-8")
        (folder / "data/mnist").symlink_to(mnist_folder)
        subprocess.run(
            [*before, sys.executable, "-m", "stages.train", "model_5"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | compiled("sandybridge"),
            check=True,
            timeout=3000,
        )
        weights.append((folder / "weights/model_5.safetensors").read_bytes())
        logs.append((folder / "logs/model_5.log").read_text("utf-8"))
    assert weights[0] == weights[1]
    assert ["FMA" in log for log in logs] == [not get_host_cpu_features().get("fma", True), True]
    assert logs[1].count("FMA") == 1


@pytest.mark.slow
@together
def test_emulated_arm64_processor_gives_the_same_bytes(
    mnist_folder: Path, tmp_path: Path, expected: list[str], pytestconfig: pytest.Config
) -> None:
    """The kernels are compiled outside of the emulator, too."""
    try:
        python = arm64.command(pytestconfig.cache.mkdir("arm64") / "python")
    except arm64.UnavailableError as reason:
        pytest.skip(str(reason))
    version = run(*python, code="import sys; print(sys.version)").strip()
    if version.split(".")[:2] != sys.version.split(".")[:2]:
        pytest.skip(f"the Python for arm64 is {version.split()[0]}: it cannot load our kernels")
    target = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    before = f"""
from tests import cross_compilation
cross_compilation.compile_only({arm64.TRIPLE!r}, {version!r})
"""
    few_batches(mnist_folder, before=before, **target)
    files = {*tmp_path.rglob("*.nbc")}
    assert few_batches(mnist_folder, *python, **target) == expected
    assert len(files) == len(entries())
    assert {*tmp_path.rglob("*.nbc")} == files, "compiled in the emulator"


@pytest.mark.slow
@together
def test_oldest_compiler_gives_the_same_bytes(
    mnist_folder: Path, tmp_path: Path, expected: list[str]
) -> None:
    packages = tmp_path / "packages"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--target", str(packages), *OLDEST_COMPILER),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    variables = {"NUMBA_CACHE_DIR": str(tmp_path / "numba"), "PYTHONPATH": str(packages)}
    assert few_batches(mnist_folder, **variables) == expected


@pytest.mark.slow
@together
def test_multiplication_and_addition_that_round_twice_give_other_bytes(
    mnist_folder: Path, tmp_path: Path, expected: list[str]
) -> None:
    """The comparisons above notice the last bit. The smallest network shows it."""
    before = """
from study.engine import vector
vector.multiply_add = lambda builder, a, b, c: builder.fadd(builder.fmul(a, b), c)
"""
    variables = {"NUMBA_CACHE_DIR": str(tmp_path)}
    [other] = few_batches(mnist_folder, before=before, models=[OTHER], **variables)
    [same] = (line for line in expected if line.startswith(OTHER))
    assert other.split()[0] == OTHER
    assert other.split()[1] != same.split()[1]


def test_verify_finds_what_differs() -> None:
    committed = {"train@a": {"weights/a": "1", "weights/b": "2"}}
    reproduced = {"train@a": {"weights/a": "1", "weights/b": "3"}, "train@c": {"weights/c": "4"}}
    same = verify.compare(committed, reproduced)
    assert same == {"weights/a": True, "weights/b": False, "weights/c": False}


@pytest.mark.slow
def test_verify_trains_the_committed_weights_again() -> None:
    """For the smallest model; `make verify` does it for all."""
    subprocess.run([sys.executable, "-m", "tests.verify", "model_3"], cwd=ROOT, check=True)
