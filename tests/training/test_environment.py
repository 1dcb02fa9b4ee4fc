import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from study.training import environment
from tests.checkout import ROOT

AVX2 = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
"""Variables that make libraries use AVX2, which crashes on a processor without it."""
X86_64 = {*AVX2, "MKL_CBWR"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of this process, for a test to change."""
    changed = {key: value for key, value in os.environ.items() if key not in X86_64}
    monkeypatch.setattr(os, "environ", changed)
    monkeypatch.setattr(environment, "keep_freed_memory", lambda: None)
    return changed


def cpuinfo(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(Path, "read_text", lambda *_: f"model name\t: A\nflags\t\t: {flags}\n")


def test_environment_imports_no_package() -> None:
    code = "import sys; from study.training import environment; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_prepare_fixes_threads_and_instruction_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    cpuinfo(monkeypatch, "sse2 avx2 fma avx512f")
    variables |= {"OMP_NUM_THREADS": "8", "MKL_DOMAIN_NUM_THREADS": "8"}
    environment.prepare()
    assert variables["OMP_NUM_THREADS"] == variables["MKL_NUM_THREADS"] == "1"
    assert "MKL_DOMAIN_NUM_THREADS" not in variables
    assert [variables[name] for name in AVX2] == ["avx2", "AVX2", "haswell", ""]
    assert environment.is_x86_64()
    assert environment.has_avx2()


def test_without_avx2_nothing_forces_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    cpuinfo(monkeypatch, "sse2 avx")
    environment.prepare()
    assert not variables.keys() & set(AVX2)
    assert variables["OMP_NUM_THREADS"] == "1"
    assert not environment.has_avx2()


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
def test_another_architecture_sets_no_x86_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], machine: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    environment.prepare()
    assert not variables.keys() & X86_64
    assert not environment.is_x86_64()


def test_avx2_is_assumed_if_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "read_text", missing)
    assert environment.has_avx2()
    assert environment.flags_have_avx2("")


@pytest.mark.parametrize(("output", "expected"), [(b"1\n", True), (b"0\n", False), (b"", True)])
def test_has_avx2_on_macos(monkeypatch: pytest.MonkeyPatch, output: bytes, expected: bool) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    done = subprocess.CompletedProcess([], 0, stdout=output)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert environment.has_avx2() is expected


@pytest.mark.parametrize("present", [True, False])
def test_has_avx2_on_windows(monkeypatch: pytest.MonkeyPatch, present: bool) -> None:
    kernel32 = SimpleNamespace(IsProcessorFeaturePresent=lambda number: present and number == 40)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32), raising=False)
    assert environment.has_avx2() is present
