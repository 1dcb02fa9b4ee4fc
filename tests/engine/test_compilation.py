"""Compiled code and its cache: damage, places that cannot be written, other sources, at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numba
import pytest

from study.engine import code_cache
from study.engine.code_cache import SUM_SIZE, CodeCache
from study.engine.compilation import entry
from tests.checkout import ROOT
from tests.mounts import read_only, small_disk

STEP = """
import hashlib, sys
import numpy as np, torch
from numba.core import event
from study.engine import Engine, initialize, rng_state
network = torch.nn.Sequential(torch.nn.Conv2d(1, 10, 28), torch.nn.Flatten())
initialize(network, np.random.SeedSequence(7))
engine = Engine(network, 8, ema_decay=0.5)
random = np.random.default_rng(3)
images = random.integers(0, 256, (8, 28, 28)).astype(np.uint8)
with event.install_recorder("numba:compile") as compiled:
    engine.step(images, np.arange(8), rng_state(np.random.SeedSequence(1)), 0.05, 0.9)
names = {e.data["dispatcher"].py_func.__qualname__ for _, e in compiled.buffer}
print(hashlib.sha256(engine.values.tobytes()).hexdigest(), *sorted(names & set(sys.argv[1:])))
"""
"""A training step; prints its digest and those of its entries that had to be compiled."""
ENTRIES = (
    "backward", "cross_entropy", "descend", "fold_norm", "fold_norm_gradient", "forward", "move",
)  # fmt: skip


@entry
def double(x: float) -> float:
    return 2 * x


class Code:
    """A copy of study/ with a cache of its own, in which steps are trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "study", folder / "study", ignore=ignored)

    def step(self, **variables: str) -> tuple[str, tuple[str, ...]]:
        """Train a step; return its digest and the entries that were compiled. Nothing else is said.

        A process as in a container that runs as another user: there is no home to write to.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", STEP, *ENTRIES],
            cwd=self.folder,
            env=kept | {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"} | variables,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert (done.returncode, done.stderr) == (0, "")
        digest, *compiled = done.stdout.split()
        return digest, tuple(compiled)

    def files(self) -> list[Path]:
        """Return the files of the cache."""
        return sorted(self.folder.glob("study/**/*.nbc"))


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    """Code whose cache two processes have filled at once."""
    code = Code(tmp_path_factory.mktemp("code"))
    with ThreadPoolExecutor() as pool:
        steps = [pool.submit(code.step), pool.submit(code.step)]
    (digest, compiled), (same, others) = [step.result() for step in steps]
    assert digest == same
    assert {*compiled, *others} == {*ENTRIES}  # either may find what the other has written
    return code


@pytest.fixture(scope="module")
def digest(code: Code) -> str:
    """The digest of the step, trained from a sound cache."""
    digest, compiled = code.step()
    assert not compiled
    assert len(code.files()) == len(ENTRIES)
    return digest


def empty(content: bytes) -> bytes:
    return content[:0]


def only_a_sum(content: bytes) -> bytes:
    return content[:SUM_SIZE]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_the_end(content: bytes) -> bytes:
    return content[:-1]


def longer(content: bytes) -> bytes:
    return content + b"\0"


def flip(place: float) -> Callable[[bytes], bytes]:
    """Return a function that flips a bit at a fraction of the length."""

    def flipped(content: bytes) -> bytes:
        damaged = bytearray(content)
        damaged[int(place * (len(content) - 1))] ^= 1
        return bytes(damaged)

    return flipped


@pytest.mark.slow
@pytest.mark.xdist_group("compilation")
@pytest.mark.fault(
    "an empty, truncated or altered file of compiled code",
    "compiled anew, without a message, with the same bytes; the file is replaced",
    2 * len(ENTRIES),
)
@pytest.mark.parametrize(
    "damages",
    [
        (empty, only_a_sum, half, without_the_end, longer, empty, half),
        tuple(flip(i / (len(ENTRIES) - 1)) for i in range(len(ENTRIES))),
    ],
    ids=["length", "bit"],
)
def test_step_with_damaged_files_compiles_anew(
    code: Code, digest: str, damages: tuple[Callable[[bytes], bytes], ...]
) -> None:
    for path, damage in zip(code.files(), damages, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    assert code.step() == (digest, ENTRIES)
    assert code.step() == (digest, ())


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Put a full disk in the place of the folder of compiled code."""
    place = folder / "study/engine/__pycache__"
    place.mkdir(exist_ok=True)
    with small_disk(place, "4k"):
        (place / "filler").write_bytes(bytes(4096))
        yield


@pytest.mark.slow
@pytest.mark.xdist_group("compilation")
@pytest.mark.fault(
    "code on a read-only or full disk, and no home", "compiled in every process, without a message"
)
@pytest.mark.parametrize("state", [read_only, full])
def test_step_compiles_without_a_cache_where_none_can_be_written(
    code: Code, digest: str, state: Callable[[Path], AbstractContextManager[None]], tmp_path: Path
) -> None:
    other = Code(tmp_path)
    with state(tmp_path):
        assert other.step() == (digest, ENTRIES)
        assert not other.files()


@pytest.mark.slow
@pytest.mark.xdist_group("compilation")
def test_step_from_a_read_only_cache_compiles_nothing(code: Code, digest: str) -> None:
    with read_only(code.folder):
        assert code.step() == (digest, ())


@pytest.mark.slow
@pytest.mark.xdist_group("compilation")
def test_step_without_jit_is_compiled(code: Code, digest: str) -> None:
    assert code.step(NUMBA_DISABLE_JIT="1") == (digest, ())


@pytest.mark.slow
@pytest.mark.xdist_group("compilation")
def test_step_after_an_edit_elsewhere_compiles_what_includes_it(code: Code, digest: str) -> None:
    """The kernels include the mean and SD of pixels, which are outside of study/engine."""
    inputs = code.folder / "study/networks/inputs.py"
    before = inputs.read_text("utf-8")
    inputs.write_text(before.replace("0.1307", "0.1308"), encoding="utf-8")
    changed, compiled = code.step()
    assert changed != digest
    assert compiled == ("backward", "fold_norm", "fold_norm_gradient", "forward")
    inputs.write_text(before, encoding="utf-8")
    assert code.step() == (digest, compiled)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of `double`, compiled for float64, in a folder that NUMBA_CACHE_DIR names."""
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", str(tmp_path))
    assert entry(double.py_func)(1.0) == 2  # type: ignore[attr-defined]
    (path,) = tmp_path.glob("*/*")
    assert hits() == 1
    return path


def hits(x: float = 1.0) -> int:
    """Double a number, as a new process does; return how often compiled code was loaded."""
    again = entry(double.py_func)  # type: ignore[attr-defined]
    assert again(x) == 2 * x
    return sum(again.stats.cache_hits.values())


def test_file_with_any_byte_altered_or_of_any_length_is_not_loaded(file: Path) -> None:
    cache = CodeCache(double.py_func)  # type: ignore[attr-defined]
    context = double.targetctx  # type: ignore[attr-defined]

    def loads(content: bytes) -> bool:
        file.write_bytes(content)
        return cache.load_overload((numba.float64,), context) is not None

    sound = file.read_bytes()
    for length in (*range(0, len(sound), 7), len(sound) - 1):
        assert not loads(sound[:length])
    for place in range(0, len(sound), 3):
        damaged = bytearray(sound)
        damaged[place] ^= 1 << place % 8
        assert not loads(bytes(damaged))
    assert not loads(sound + b"\0")
    assert loads(sound)


def test_file_under_the_name_of_another_signature_is_not_loaded(file: Path) -> None:
    sound = file.read_bytes()
    assert entry(double.py_func)(1) == 2  # type: ignore[attr-defined]
    (other,) = set(file.parent.iterdir()) - {file}
    other.write_bytes(sound)
    assert hits(1) == 0
    assert hits(1) == 1  # it was replaced


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("VERSIONS", "of another Numba"),
        ("config.OPT", 0),
        ("config.CPU_NAME", "x86-64"),
        ("source_code", lambda _: "of another module"),
    ],
)
def test_code_compiled_otherwise_is_not_loaded(
    file: Path, setting: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    *owner, name = setting.split(".")
    monkeypatch.setattr(getattr(code_cache, owner[0]) if owner else code_cache, name, value)
    assert hits() == 0


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root may give a file to another user"
)
def test_file_of_another_user_is_not_loaded(file: Path) -> None:
    os.chown(file, 12345, 12345)
    assert hits() == 0
    assert hits() == 1  # it was replaced


def test_cache_that_is_a_folder_or_missing_is_no_error(file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert hits() == 0
    shutil.rmtree(file.parent)
    assert hits() == 0
    assert hits() == 1
