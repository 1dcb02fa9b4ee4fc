"""A Python for arm64 that runs in an emulator: Debian packages and wheels, unpacked in a folder.

Nothing is installed. Packages without compiled parts are those of the running Python.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

EMULATOR = shutil.which("qemu-aarch64")
TRIPLE = "aarch64-unknown-linux-gnu"
"""LLVM's name of the system."""
TORCH = "2.9.1"
"""The last version whose wheel for arm64 does without CUDA's libraries."""
SAME = ("llvmlite", "numba", "numpy", "psutil", "pydantic-core")
"""Packages that have the version of the running Python."""
APT = """
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::Cache "{0}";
Dir::State "{0}";
Dir::State::status "{0}/status";
"""


class UnavailableError(Exception):
    """The packages cannot be fetched; the message is the reason."""


def command(folder: Path) -> list[str]:
    """Return the command that runs the Python in `folder`, which is filled first if necessary.

    Raises UnavailableError if there is no emulator, no apt-get or no network.
    """
    if EMULATOR is None:
        raise UnavailableError("no qemu-aarch64 (Debian package qemu-user)")
    complete, wanted = folder / "requirements.txt", "\n".join(requirements())
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists() or complete.read_text("utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            fill(folder)
            complete.write_text(wanted, "utf-8")
    root = folder / "root"
    paths = f"{folder / 'site'}:{sysconfig.get_paths()['purelib']}"
    return [EMULATOR, "-L", str(root), "-E", f"PYTHONPATH={paths}", str(interpreter(root))]


def requirements() -> list[str]:
    """Return the packages with compiled parts that training imports, with their versions."""
    return [f"torch=={TORCH}", *(f"{name}=={version(name)}" for name in SAME)]


def fill(folder: Path) -> None:
    """Fetch and unpack Python and the packages with compiled parts."""
    for name in ("lists/partial", "archives/partial", "root", "site", "wheels"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "apt.conf").write_text(APT.format(folder), "utf-8")
    call("apt-get", "update", "--quiet", APT_CONFIG=str(folder / "apt.conf"))
    call(
        *("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "--download-only"),
        *("python3-minimal", "libpython3-stdlib", "libstdc++6"),
        APT_CONFIG=str(folder / "apt.conf"),
    )
    for package in (folder / "archives").glob("*.deb"):
        call("dpkg-deb", "--extract", str(package), str(folder / "root"))
    python_version = interpreter(folder / "root").name.removeprefix("python")
    call(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder / "wheels")),
        *("--no-deps", "--only-binary=:all:", "--python-version", python_version),
        *("--platform=manylinux_2_17_aarch64", "--platform=manylinux_2_27_aarch64"),
        *("--platform=manylinux_2_28_aarch64", *requirements()),
    )
    for wheel in (folder / "wheels").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder / "site")
    for name in ("archives", "lists", "wheels"):
        shutil.rmtree(folder / name)


def interpreter(root: Path) -> Path:
    """Return the path of Python in a root folder."""
    return (root / "usr/bin/python3").resolve()


def call(*words: str, **variables: str) -> None:
    """Run a command. Raises UnavailableError with its first error message if it fails."""
    try:
        subprocess.run(
            words, env=os.environ | variables, check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise UnavailableError(f"no {words[0]}") from None
    except subprocess.CalledProcessError as error:
        errors = [line for line in error.stderr.splitlines() if line.startswith("E")]
        raise UnavailableError(f"{' '.join(words[:4])}: {' '.join(errors[:1])}") from None
