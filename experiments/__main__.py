"""Run the experiments in experiments.yaml that have no row in metrics/runs.csv."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from experiments import git, local, project_files
from experiments.collect import Collector
from experiments.signals import Signals
from stages import paths
from stages.command import ArgumentParser, run
from study.base.errors import UserError, quote
from study.data import sources

RunAll = Callable[[Collector, list[str], Signals], None]
"""Executes the remaining runs."""
FailureHint = Callable[[str], str]
"""Returns where to find the reason why a run failed."""

LOCK = Path(".dvc/tmp/experiments.lock")


def main() -> None:
    """Execute the remaining runs; end with status 1 if some failed."""
    arguments = parser().parse_args()
    jobs = parse_jobs(arguments.jobs)
    run_all, failure_hint = (
        on_cluster(arguments.ray)
        if arguments.ray
        else (partial(local.run_all, jobs), local.failure_hint)
    )
    runs = project_files.runs()
    check_workspace()
    with lock():
        signals = Signals()
        collector = Collector(runs, git.call("rev-parse", "HEAD").strip())
        remaining = collector.update()
        if remaining:
            run_all(collector, remaining, signals)
            remaining = collector.update()
    if signals.received is not None:
        print(
            f"stopped; {len(remaining)} of {len(runs)} runs left, rerun `make experiments` to"
            " continue"
        )
        sys.exit(128 + signals.received)
    for name in remaining:
        print(f"failed: {name} ({runs[name].description}): {failure_hint(name)}")
    sys.exit(1 if remaining else 0)


def parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument(
        "--jobs", required=True, help="number of runs at once on this machine, at least 1"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster instead: `auto` for the one that this machine is in, or"
        " host:port of its head",
    )
    return parser


def parse_jobs(text: str) -> int:
    """Return a number of jobs. Raises UserError."""
    if not text.isdecimal() or int(text) == 0:
        raise UserError(
            f"JOBS must be an integer of at least 1, got {quote(text)}; run"
            " `make experiments JOBS=1`"
        )
    return int(text)


def on_cluster(address: str) -> tuple[RunAll, FailureHint]:
    """Return how to run on a Ray cluster. Raises UserError if Ray or the cluster is missing."""
    if find_spec("ray") is None:
        raise UserError("Ray is not installed; run `pip install -r requirements.lock`")
    from experiments.cluster import driver

    run_all = partial(driver.run_all, driver.check_address(address))
    # Before signals are deferred: a download can take minutes, and Ctrl-C ends it at once.
    sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))
    return run_all, driver.failure_hint


def check_workspace() -> None:
    """Raise UserError if an experiment would not have the same files as the workspace.

    An experiment has the files of the last commit and, from DVC, all uncommitted changes to them.
    """
    try:
        git.call("rev-parse", "--verify", "HEAD")
    except UserError as error:
        if "safe.directory" in str(error):  # the remedy is Git's own
            raise
        raise UserError(
            f"{error}; commit the study first, because experiments are runs of a commit"
        ) from None
    every_path = ("-z", "--", ".", f":!{paths.RUNS}")
    for name in git.paths("diff", "--name-only", "--relative", "HEAD", *every_path):
        raise UserError(
            f"{name} has uncommitted changes, which DVC would put into every experiment; commit"
            f" them, or discard them with `git restore {name}`"
        )
    code = (f"{folder}/*.py" for folder in ("models", "stages", "study"))
    for name in git.paths("ls-files", "--others", "--exclude-standard", "-z", "--", *code):
        raise UserError(
            f"{name} is not in Git, so experiments would run without it; `git add {name}` and"
            " commit it"
        )


@contextmanager
def lock() -> Iterator[None]:
    """Hold a lock, so that two processes do not queue the same runs. Raises UserError if held."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(LOCK).acquire(blocking=False)
    except Timeout:
        raise UserError(
            "another `make experiments` is in progress; wait for it or stop it"
        ) from None
    with held:
        yield


if __name__ == "__main__":
    run(main)
