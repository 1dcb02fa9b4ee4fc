"""Checkouts that are not as usual: the study runs in them, or one line says why not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.faults import one_model
from tests.mounts import read_only

Change = Callable[[Checkout], Checkout]
WORK = f"dvc repro --quiet download {one_model.SUMMARIZE}"


def without_commit(checkout: Checkout) -> Checkout:
    shutil.rmtree(checkout.root / ".git")
    checkout.run("git", "init", "--quiet")
    return checkout


def detached(checkout: Checkout) -> Checkout:
    checkout.run("git", "checkout", "--quiet", "--detach")
    return checkout


def shallow(checkout: Checkout) -> Checkout:
    clone = checkout.root.with_name("shallow")
    checkout.run("git", "clone", "--quiet", "--depth=1", checkout.root.as_uri(), str(clone))
    assert (clone / ".git/shallow").exists()
    return Checkout(clone, checkout.environment)


def with_odd_path(checkout: Checkout) -> Checkout:
    moved = checkout.root.rename(checkout.root.with_name("Müller's  «study» $HOME;"))
    return Checkout(moved, checkout.environment)


def without_home(checkout: Checkout) -> Checkout:
    environment = {k: v for k, v in checkout.environment.items() if k != "HOME"}
    return Checkout(checkout.root, environment)


def unchanged(checkout: Checkout) -> Checkout:
    return checkout


@pytest.fixture
def checkout(tmp_path: Path, mnist_folder: Path) -> Checkout:
    return one_model.create(tmp_path, mnist_folder)


@pytest.mark.slow
@pytest.mark.fault(
    "no commit yet; a detached HEAD; a shallow clone; spaces, quotes and non-ASCII letters in the"
    " path; a umask of 077; HOME unset",
    "the stages run",
)
@pytest.mark.parametrize(
    ("change", "command"),
    [
        (without_commit, WORK),
        (detached, WORK),
        (shallow, WORK),
        (with_odd_path, f"dvc repro --quiet {one_model.EVALUATE}"),
        (unchanged, f"umask 077; {WORK}"),
        (without_home, WORK),
    ],
    ids=["without_commit", "detached", "shallow", "odd_path", "umask", "without_home"],
)
def test_stages_run_in_odd_checkout(checkout: Checkout, change: Change, command: str) -> None:
    checkout = change(checkout)
    checkout.run("bash", "-c", command)
    assert len(list(checkout.root.glob("data/mnist/*"))) == 4
    folder = "summaries" if WORK in command else "predictions"
    made = list(checkout.root.glob(f"{folder}/{one_model.MODEL}.*"))
    assert made
    assert all((path.stat().st_mode & 0o077 == 0) is ("umask" in command) for path in made)


@pytest.mark.fault(
    "no .git",
    "DVC reports it in one line; after `dvc config --local core.no_scm true` the stages run",
)
def test_dvc_names_a_missing_repository(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".git")
    status, output = checkout.attempt("dvc", "repro", "recipes")
    assert status != 0
    (line,) = output.splitlines()
    assert str(checkout.root) in line
    assert "not a git repository" in line
    checkout.run("dvc", "config", "--local", "core.no_scm", "true")
    checkout.run("dvc", "repro", "recipes")
    assert (checkout.root / "data/validated").exists()


@pytest.mark.slow
@pytest.mark.fault("`make experiments` without .git, or without a commit", "one line", 2)
def test_experiments_ask_for_a_commit(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = Checkout.create(tmp_path, mnist_folder)
    shutil.rmtree(checkout.root / ".git")
    for reason in ("not a git repository", "Needed a single revision"):
        status, output = checkout.attempt("python", "-m", "experiments", "--jobs", "1")
        assert status == 1
        (line,) = output.splitlines()
        assert line.startswith("error: ")
        assert reason in line
        assert "commit" in line
        checkout.run("git", "init", "--quiet")


@pytest.mark.fault(
    "a read-only checkout", "DVC, and each stage by itself, name the path and the reason"
)
def test_read_only_checkout_is_named(checkout: Checkout) -> None:
    with read_only(checkout.root):
        for command in (["dvc", "repro", "recipes"], ["python", "-m", "stages.recipes"]):
            status, output = checkout.attempt(*command)
            assert status != 0
            assert "Read-only file system" in output.splitlines()[0]
            assert "Traceback" not in output
        (line,) = output.splitlines()
        assert line.startswith("error: recipes: ")
