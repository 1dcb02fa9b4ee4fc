"""Checkouts that are not as usual: the study runs in them, or one line says why not."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkout import Checkout

Change = Callable[[Checkout], Checkout]
WORK = "dvc repro --quiet download summarize@model_3"


def no_commit(checkout: Checkout) -> Checkout:
    shutil.rmtree(checkout.root / ".git")
    checkout.run("git", "init", "--quiet")
    return checkout


def detached(checkout: Checkout) -> Checkout:
    checkout.run("git", "checkout", "--quiet", "--detach")
    return checkout


def shallow(checkout: Checkout) -> Checkout:
    checkout.run("git", "commit", "--quiet", "--allow-empty", "--message", "A second one")
    clone = checkout.root.with_name("shallow")
    checkout.run("git", "clone", "--quiet", "--depth=1", checkout.root.as_uri(), str(clone))
    assert (clone / ".git/shallow").exists()
    return Checkout(clone, checkout.environment)


def elsewhere(checkout: Checkout) -> Checkout:
    moved = checkout.root.rename(checkout.root.with_name("Müller's  «study» $HOME;"))
    return Checkout(moved, checkout.environment)


def homeless(checkout: Checkout) -> Checkout:
    environment = {k: v for k, v in checkout.environment.items() if k != "HOME"}
    return Checkout(checkout.root, environment)


def same(checkout: Checkout) -> Checkout:
    return checkout


@pytest.fixture
def checkout(tmp_path: Path, mnist_folder: Path) -> Checkout:
    return Checkout.create(tmp_path, mnist_folder)


@pytest.mark.slow
@pytest.mark.fault(
    "no commit yet; a detached HEAD; a shallow clone; spaces, quotes and non-ASCII letters in the"
    " path; a umask of 077; HOME unset",
    "works",
)
@pytest.mark.parametrize(
    ("change", "command"),
    [
        (no_commit, WORK),
        (detached, WORK),
        (shallow, WORK),
        (elsewhere, "dvc repro --quiet evaluate@model_3"),
        (same, f"umask 077; {WORK}"),
        (homeless, WORK),
    ],
)
def test_it_works(checkout: Checkout, change: Change, command: str) -> None:
    checkout.set({"train.train_images": 600, "train.epochs": 1})
    checkout = change(checkout)
    checkout.run("bash", "-c", command)
    assert len(list(checkout.root.glob("data/mnist/*"))) == 4
    made = checkout.root / (
        "summaries/model_3.txt" if WORK in command else "predictions/model_3.csv"
    )
    assert made.exists()
    assert (made.stat().st_mode & 0o077 == 0) is ("umask" in command)


@pytest.mark.fault(
    "no .git",
    "DVC says so in a line; with `dvc config --local core.no_scm true` it works",
)
def test_no_git(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".git")
    status, output = checkout.attempt("dvc", "repro", "validate")
    assert status != 0
    assert output == f"ERROR: {checkout.root} is not a git repository\n"
    checkout.run("dvc", "config", "--local", "core.no_scm", "true")
    checkout.run("dvc", "repro", "validate")
    assert (checkout.root / "data/validated").exists()


@pytest.mark.fault("`make experiments` without .git, and without a commit", "one line", 2)
def test_experiments_without_a_commit(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".git")
    for say in ("not a git repository", "Needed a single revision"):
        status, output = checkout.attempt("python", "-m", "experiments", "--jobs", "1")
        assert status == 1
        (line,) = output.splitlines()
        assert line.startswith("error: git rev-parse: fatal: ")
        assert say in line
        assert "commit the study" in line
        checkout.run("git", "init", "--quiet")


@pytest.mark.fault(
    "a checkout that is read-only", "DVC, and each stage by itself, name the path and the reason"
)
def test_read_only(checkout: Checkout) -> None:
    root = str(checkout.root)
    mount = ["mount", "--bind", root, root]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may make a file system read-only")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        status, output = checkout.attempt("dvc", "repro", "validate")
        assert status != 0
        assert "Read-only file system: " in output.splitlines()[0]
        assert "Traceback" not in output
        status, output = checkout.attempt("python", "-m", "stages.validate")
        assert status == 1
        assert output == "error: data: Read-only file system; make room or access, and run again\n"
    finally:
        subprocess.run(["umount", root], check=True)
