"""Run what experiments.yaml asks for and the ledger lacks."""

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from experiments import files, git, local
from experiments.results import Results
from experiments.signals import Signals
from stages import paths
from stages.command import ArgumentParser, run
from stages.download import main as download
from study.base.errors import UserError, quote

Start = Callable[[Results, list[str], Signals], None]
"""Runs what is left."""
Why = Callable[[str], str]
"""Says where it stands why a run failed."""

LOCK = Path(".dvc/tmp/experiments.lock")


def main() -> None:
    """Run what is left to do; end with status 1 when some of it failed."""
    parser = ArgumentParser()
    parser.add_argument("--jobs", required=True)
    parser.add_argument("--ray")
    arguments = parser.parse_args()
    jobs = arguments.jobs
    if not jobs.isdecimal() or int(jobs) == 0:
        raise UserError(f"JOBS = {quote(jobs)}: give a whole number, at least 1")
    start, why = (
        cluster(arguments.ray) if arguments.ray else (partial(local.work, int(jobs)), local.why)
    )
    runs = files.runs()
    check_workspace()
    with lock():
        signals = Signals()
        results = Results(runs, git.call("rev-parse", "HEAD").strip())
        left = results.update()
        if left:
            start(results, left, signals)
            left = results.update()
    if signals.received is not None:
        print(f"stopped; {len(left)} of {len(runs)} to go: `make experiments` goes on")
        sys.exit(128 + signals.received)
    for name in left:
        print(f"failed: {name}, {runs[name].description}: {why(name)}")
    sys.exit(1 if left else 0)


def cluster(address: str) -> tuple[Start, Why]:
    """Return how to run experiments on a Ray cluster. Raises UserError where Ray is not there."""
    if find_spec("ray") is None:
        raise UserError(
            f"RAY = {quote(address)}: Ray is not there; `pip install -r requirements.lock` gets it"
        )
    from experiments import cluster

    start = partial(cluster.work, cluster.checked(address))
    # As long as Ctrl-C still ends it at once: sources can take minutes.
    download()
    return start, cluster.why


def check_workspace() -> None:
    """Raise UserError when there is something that DVC would put into every experiment."""
    try:
        git.call("rev-parse", "--verify", "HEAD")
    except UserError as error:
        raise UserError(
            f"{error}; commit the study first: experiments are runs of a commit"
        ) from None
    changed = git.call(
        "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{paths.LEDGER}"
    )
    if changed:
        name = changed.splitlines()[0][3:]
        raise UserError(
            f"{name}: changed and not committed, so DVC would put it into each experiment; commit"
            " it or `git restore` it"
        )


@contextmanager
def lock() -> Iterator[None]:
    """Keep a second one out: both would queue the same runs. Raises UserError."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("make experiments: is running already; let it, or stop it") from None
        yield


if __name__ == "__main__":
    run(main)
