"""The part that runs on a node of the cluster: execution of one experiment.

Ray carries this module to the node, which needs only Python, Git and the packages of
requirements.lock.
"""

import errno
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
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import filelock  # Ray needs it, too
import ray

from experiments import compiled

MIN_FREE_BYTES = 256 * 2**20
"""Twice the raw data, which are copied once, and the outputs."""

# Runs a command, and kills its process group (DVC, its shell, and the training) when stdin closes,
# i.e. when Ray's worker is gone. It is a grandchild of the worker, which kills its children, and
# only these, when it ends.
WATCHDOG = """
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
    """Full name of the commit on which they run."""
    folder: str
    """The study's folder in the repository: `studies/mnist/`, or "" for the root."""
    identity: Mapping[str, str]
    """Git's user.name and user.email for DVC's commits, if they are configured."""
    versions: Mapping[str, str]
    """The driver's versions of what must be the same on every node."""
    source: "ray.ObjectRef[bytes]"
    """A Git bundle with the commit."""
    raw: Mapping[str, "ray.ObjectRef[bytes]"]
    """The files of data/mnist, by name."""
    raw_id: str
    """Identifies their contents."""


class Started(NamedTuple):
    """An experiment has started on a node."""


class Finished(NamedTuple):
    """An experiment has succeeded."""

    bundle: bytes
    """A Git bundle with the commit that DVC has made of it."""
    outputs: dict[str, bytes]
    """The outputs that DVC keeps outside Git, by MD5."""


class Failed(NamedTuple):
    """An experiment has failed for reasons of its own."""

    log: str


class Unfit(NamedTuple):
    """A node cannot run experiments."""

    node: str
    """Ray's id of the node."""
    reason: str


def installed_version(name: str) -> str:
    """Return a package's version here, or `none`; for `processor`, the architecture."""
    if name == "processor":
        return platform.machine()
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def run_experiment(
    study: Study, ref: str, command: Sequence[str], stages: Sequence[str]
) -> Iterator[Started | Finished | Failed | Unfit]:
    """Run an experiment on this node: yield Started, then its outcome.

    `ref` is the Git reference under which DVC keeps it, `command` DVC's arguments, `stages` those
    whose outputs are returned.
    """
    # Ray cancels through Python's handler, which a node started by nohup or & lacks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Started()
    here = ray.get_runtime_context().get_node_id()
    for name, required in study.versions.items():
        if (found := installed_version(name)) != required:
            yield Unfit(here, f"{name} must be {required} as on the driver, found {found}")
            return
    home = Path(tempfile.gettempdir()) / f"mnist-study-{os.getuid()}"
    try:
        yield run_in_clone(study, ref, command, stages, home)
    except OSError as error:
        yield Unfit(here, f"{error.filename or home}: {error.strerror}")


def run_in_clone(
    study: Study, ref: str, command: Sequence[str], stages: Sequence[str], home: Path
) -> Finished | Failed:
    """Run an experiment in a clone below `home`, which also holds what experiments share.

    Raises OSError if the node is at fault.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    if not stat.S_ISDIR(home.lstat().st_mode) or home.lstat().st_uid != os.getuid():
        raise OSError(errno.EPERM, "owned by another user; refusing to use it", str(home))
    cache = cache_folder(study, home)
    with ExitStack() as cleanup:
        with filelock.FileLock(home / "lock"):
            remove_stale(home)
            check_disk(home)
            raw = fetch_raw(study, home)
            source = fetch_source(study, home)
            folder = Path(tempfile.mkdtemp(prefix="experiment-", dir=home))
            # Held from the beginning, so that the folder is never taken for a stale one.
            cleanup.enter_context(filelock.FileLock(folder / "lock"))
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        clone, bundle = folder / "clone", folder / "bundle"
        git("clone", "--quiet", "--shared", "--no-checkout", str(source), str(clone))
        git("-C", str(clone), "checkout", "--quiet", study.revision)
        for key, value in study.identity.items():
            git("-C", str(clone), "config", key, value)
        root = clone / study.folder
        compiled.copy(home / "compiled", root)
        # One cache for all, from which files are linked: the raw data are stored once.
        (root / ".dvc/config.local").write_text(
            f'[cache]\n    dir = {cache}\n    type = "reflink,hardlink,symlink,copy"\n',
            encoding="utf-8",
        )
        status, log = run_guarded(
            [sys.executable, "-m", "dvc", *command],
            root,
            {
                "MNIST_FOLDER": str(raw),
                "DVC_SITE_CACHE_DIR": str(folder / "site"),
                # dvc.yaml says `python`, which must be the one that has the packages.
                "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            },
            folder / "log",
        )
        if status:
            check_disk(home)
            return Failed(log)
        compiled.copy(root, home / "compiled")
        git("-C", str(clone), "bundle", "create", "--quiet", str(bundle), ref, f"^{study.revision}")
        return Finished(bundle.read_bytes(), cached_outputs(root / "dvc.lock", stages, cache))


def cache_folder(study: Study, home: Path) -> Path:
    """Return DVC's cache for experiments with these versions: its run cache ignores versions."""
    versions = repr(sorted(study.versions.items())).encode()
    return home / f"cache-{hashlib.sha256(versions).hexdigest()[:12]}"


def check_disk(home: Path) -> None:
    """Raise OSError if the disk is nearly full, which may be why an experiment failed."""
    if (free := shutil.disk_usage(home).free) < MIN_FREE_BYTES:
        reason = f"{free // 2**20} MiB free, an experiment may need {MIN_FREE_BYTES // 2**20} MiB"
        raise OSError(errno.ENOSPC, reason, str(home))


def fetch_raw(study: Study, home: Path) -> Path:
    """Return the folder with the raw data, fetched if the node does not have them yet."""
    folder = home / f"mnist-{study.raw_id}"
    for name, contents in study.raw.items():
        write_once(folder / name, contents)
    return folder


def fetch_source(study: Study, home: Path) -> Path:
    """Return a repository with the commit, fetched if the node does not have it yet."""
    folder = home / f"{study.revision}.git"
    if not folder.exists():
        write_once(bundle := home / f"{study.revision}.bundle", study.source)
        new = home / "new.git"
        shutil.rmtree(new, ignore_errors=True)
        git("clone", "--quiet", "--bare", str(bundle), str(new))
        new.rename(folder)
        bundle.unlink()
    return folder


def write_once(path: Path, contents: "ray.ObjectRef[bytes]") -> None:
    """Write a file that does not exist yet, completely or not at all."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(ray.get(contents))
        new.rename(path)


def remove_stale(home: Path) -> None:
    """Remove the folders of workers that were killed: nobody holds their locks."""
    for folder in home.glob("experiment-*"):
        # Timeout is an OSError: the lock is held.
        with suppress(OSError), filelock.FileLock(folder / "lock", blocking=False):
            shutil.rmtree(folder)


def run_guarded(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path
) -> tuple[int, str]:
    """Run a command that ends with this process; return its exit status and output."""
    with (
        log.open("wb") as output,
        # Leaving this block closes stdin, which makes the watchdog kill the command.
        subprocess.Popen(
            [sys.executable, "-c", WATCHDOG, *command],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        # Not wait(): Python raises Ray's cancellation only between two calls.
        while (status := process.poll()) is None:
            time.sleep(0.1)
    return status, log.read_text("utf-8", errors="replace")


def cached_outputs(lock: Path, stages: Sequence[str], cache: Path) -> dict[str, bytes]:
    """Return the stages' outputs in DVC's cache, by MD5; for directories, DVC's .dir listings."""
    import yaml  # a node without it is excluded for its versions

    locked = yaml.safe_load(lock.read_text("utf-8"))["stages"]
    files = {}
    for output in (output for stage in stages for output in locked[stage]["outs"]):
        path = cache / "files/md5" / output["md5"][:2] / output["md5"][2:]
        if path.exists():  # outputs that Git keeps are not in the cache
            files[output["md5"]] = path.read_bytes()
    return files


def git(*arguments: str) -> None:
    """Run a Git command. Raises OSError if it fails: the node is at fault, or its disk is full."""
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip(), "git")
