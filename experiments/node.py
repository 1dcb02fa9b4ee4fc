"""What a node of the cluster does for one experiment.

Ray carries this module there, so it needs nothing of this project on the node: only Python, Git and
the packages of requirements.lock.
"""

import errno
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import ray

ROOM = 256 * 2**20
"""Bytes that are to be free: twice the raw data, which are copied once, and the outputs."""

# When the other end of stdin is gone, so is Ray's worker, and what it started is to go, too: DVC,
# its shell, and the training. They are this process's group. Who sees to that is no child of the
# worker, but a child's child: as a worker ends, it kills its children, and not theirs.
GUARD = """
import os, signal, subprocess, sys, threading
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
def watch():
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
sys.exit(subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL))
"""


class Study(NamedTuple):
    """What all experiments of a study have in common."""

    revision: str
    """The commit on which they run."""
    identity: Mapping[str, str]
    """Of the commits that DVC makes: Git's user.name and user.email, where they are configured."""
    versions: Mapping[str, str]
    """What the driver has of all that is to be the same on every node."""
    source: "ray.ObjectRef[bytes]"
    """A Git bundle with the commit."""
    raw: Mapping[str, "ray.ObjectRef[bytes]"]
    """The files of data/mnist."""
    raw_id: str
    """Names their contents."""


class Begun(NamedTuple):
    """An experiment has found a node."""


class Finished(NamedTuple):
    """An experiment has come to its end."""

    bundle: bytes
    """A Git bundle with the commit that DVC has made of it."""
    outputs: dict[str, bytes]
    """What DVC keeps outside Git, by MD5."""


class Failed(NamedTuple):
    """An experiment has failed for its own reasons."""

    log: str


class Unfit(NamedTuple):
    """This node cannot run it."""

    node: str
    """Its id in Ray."""
    reason: str


def have(name: str) -> str:
    """Return the version of a package here, or none; of `processor`, its architecture."""
    if name == "processor":
        return platform.machine()
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def perform(
    study: Study, ref: str, command: Sequence[str], stages: Sequence[str]
) -> Iterator[Begun | Finished | Failed | Unfit]:
    """Run an experiment here: first say that it has begun, then what came of it.

    `ref` is where DVC keeps it, `command` what DVC is to do, `stages` those whose outputs count.
    """
    # Ray cancels by way of Python's handler for it, which a node started by nohup or & lacks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Begun()
    here = ray.get_runtime_context().get_node_id()
    for name, theirs in study.versions.items():
        if (own := have(name)) != theirs:
            yield Unfit(here, f"{name} {own} there, {theirs} here")
            return
    home = Path(tempfile.gettempdir()) / f"mnist-study-{os.getuid()}"
    try:
        yield attempt(study, ref, command, stages, home)
    except OSError as error:
        yield Unfit(here, f"{error.filename or home}: {error.strerror}")


def attempt(
    study: Study, ref: str, command: Sequence[str], stages: Sequence[str], home: Path
) -> Finished | Failed:
    """Run an experiment in a clone below `home`, where what all of them need is kept."""
    home.mkdir(mode=0o700, exist_ok=True)
    if not stat.S_ISDIR(home.lstat().st_mode) or home.lstat().st_uid != os.getuid():
        raise OSError(errno.EPERM, "somebody else's, who could put programs there", str(home))
    cache = cache_of(study, home)
    with ExitStack() as ours:
        with locked(home / "lock"):
            sweep(home)
            check_room(home)
            raw = fetch_raw(study, home)
            source = fetch_source(study, home)
            folder = Path(tempfile.mkdtemp(prefix="experiment-", dir=home))
            # Held from the beginning, nobody takes it for left behind.
            ours.enter_context(locked(folder / "lock"))
            ours.callback(shutil.rmtree, folder, ignore_errors=True)
        clone, bundle = folder / "clone", folder / "bundle"
        git("clone", "--quiet", "--shared", "--no-checkout", str(source), str(clone))
        git("-C", str(clone), "checkout", "--quiet", study.revision)
        for key, value in study.identity.items():
            git("-C", str(clone), "config", key, value)
        # One cache for all, into which files are linked: the raw data are there once.
        (clone / ".dvc/config.local").write_text(
            f'[cache]\n    dir = {cache}\n    type = "reflink,hardlink,symlink,copy"\n',
            encoding="utf-8",
        )
        status, log = guarded(
            [sys.executable, "-m", "dvc", *command],
            clone,
            {
                "MNIST_FOLDER": str(raw),
                "DVC_SITE_CACHE_DIR": str(folder / "site"),
                # dvc.yaml says `python`, which is to be the one that has the packages.
                "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            },
            folder / "log",
        )
        if status:
            check_room(home)
            return Failed(log)
        git("-C", str(clone), "bundle", "create", "--quiet", str(bundle), ref, f"^{study.revision}")
        return Finished(bundle.read_bytes(), outputs(clone / "dvc.lock", stages, cache))


def cache_of(study: Study, home: Path) -> Path:
    """Return the place of DVC's cache for experiments with these versions.

    DVC would take what it has run before for what it is to run, whatever it ran with.
    """
    versions = repr(sorted(study.versions.items())).encode()
    return home / f"cache-{hashlib.sha256(versions).hexdigest()[:12]}"


def check_room(home: Path) -> None:
    """Raise OSError when the disk is as good as full: what fails there fails for that."""
    if (free := shutil.disk_usage(home).free) < ROOM:
        reason = f"{free // 2**20} MiB free there, an experiment may need {ROOM // 2**20}"
        raise OSError(errno.ENOSPC, reason, str(home))


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Keep others out, on this node. Raises BlockingIOError when it is not to wait for one."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def fetch_raw(study: Study, home: Path) -> Path:
    """Return the folder with the raw data; fetch them when they are not here yet."""
    folder = home / f"mnist-{study.raw_id}"
    for name, contents in study.raw.items():
        keep(folder / name, contents)
    return folder


def fetch_source(study: Study, home: Path) -> Path:
    """Return a repository with the commit; fetch it when it is not here yet."""
    folder = home / f"{study.revision}.git"
    if not folder.exists():
        keep(bundle := home / f"{study.revision}.bundle", study.source)
        new = home / "new.git"
        shutil.rmtree(new, ignore_errors=True)
        git("clone", "--quiet", "--bare", str(bundle), str(new))
        new.rename(folder)
        bundle.unlink()
    return folder


def keep(path: Path, contents: "ray.ObjectRef[bytes]") -> None:
    """Write a file that is not there yet, whole or not at all."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(ray.get(contents))
        new.rename(path)


def sweep(home: Path) -> None:
    """Remove what killed workers have left behind: folders that nobody holds."""
    for folder in home.glob("experiment-*"):
        with suppress(OSError), locked(folder / "lock", wait=False):
            shutil.rmtree(folder)


def guarded(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path
) -> tuple[int, str]:
    """Run a command that ends with this process; return its status and what it wrote."""
    with (
        log.open("wb") as output,
        # On the way out, however that comes about, stdin is closed.
        subprocess.Popen(
            [sys.executable, "-c", GUARD, *command],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        # When Ray cancels a task, Python hears of it only between two waits.
        while (status := process.poll()) is None:
            time.sleep(0.1)
    return status, log.read_text("utf-8", errors="replace")


def outputs(lock: Path, stages: Sequence[str], cache: Path) -> dict[str, bytes]:
    """Return what DVC keeps outside Git of what stages have made, by MD5; of folders, the lists."""
    import yaml  # a node without it is refused for its versions

    made = yaml.safe_load(lock.read_text("utf-8"))["stages"]
    files = {}
    for output in (output for stage in stages for output in made[stage]["outs"]):
        path = cache / "files/md5" / output["md5"][:2] / output["md5"][2:]
        if path.exists():  # those that Git keeps are not there
            files[output["md5"]] = path.read_bytes()
    return files


def git(*arguments: str) -> None:
    """Run a command of Git. Raises OSError when it fails: the node is at fault, or its disk."""
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip(), "git")
