"""Run the experiments in experiments.yaml that have no row in metrics/runs.csv."""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

from filelock import FileLock, Timeout

from experiments import folder, git, local
from experiments.collect import Collector
from experiments.signals import Signals
from stages import paths, project_files
from stages.command import ArgumentParser, parser, run
from study.base.errors import UserError, quote
from study.data import sources
from study.evidence import configurations
from study.evidence.configurations import Run

RunAll = Callable[[Collector, list[str], Signals], None]
"""Executes the remaining runs."""


def main() -> None:
    """Execute the remaining runs; end with status 1 if some failed."""
    arguments = command_line().parse_args()
    jobs = parse_jobs(arguments.jobs)
    run_all = on_cluster(arguments.ray) if arguments.ray else partial(local.run_all, jobs)
    runs, closed = project_files.runs(), project_files.closed()
    selected = select(runs, arguments.configurations, arguments.seeds)
    check_workspace()
    # Now, because the user may commit something else during the download.
    revision = git.call("rev-parse", "HEAD").strip()
    with lock():
        # Before signals are deferred: a download can take minutes, and Ctrl-C ends it at once.
        sources.download(paths.MNIST, sources.known(os.environ.get("MNIST_FOLDER")))
        signals = Signals()
        collector = Collector(runs, revision, selected, closed)
        if obsolete := collector.obsolete():
            check_table(obsolete)
            collector.remove_obsolete()
        remaining = collector.update()
        if remaining:
            run_all(collector, remaining, signals)
            remaining = collector.update()
        else:
            print(f"{paths.RUNS} has all {len(selected)} runs")
    if signals.received is not None:
        print(
            f"stopped with {len(remaining)} of {len(selected)} runs left; run the same command"
            " again to continue"
        )
        sys.exit(128 + signals.received)
    for name in remaining:
        print(f"failed: {name} ({runs[name].description}): see {folder.log(name)}")
    sys.exit(1 if remaining else 0)


def command_line() -> ArgumentParser:
    """Return the parser of the options."""
    command = parser()
    command.add_argument(
        "--jobs", required=True, help="number of runs at once on this machine, at least 1"
    )
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster instead: `auto` for the one that this machine is in, or"
        " host:port of its head",
    )
    command.add_argument(
        "--configurations",
        nargs="*",
        default=[],
        metavar="ID",
        help="ids of the configurations in experiments.yaml to run; by default, all of them",
    )
    command.add_argument(
        "--seeds",
        help="seeds to run, such as 1-5, of those in experiments.yaml; by default, all of them",
    )
    return command


def parse_jobs(text: str) -> int:
    """Return a number of jobs. Raises UserError."""
    if not text.isdecimal() or int(text) == 0:
        raise UserError(
            f"JOBS must be an integer of at least 1, got {quote(text)}; run"
            " `make experiments JOBS=1`"
        )
    return int(text)


def select(runs: Mapping[str, Run], ids: Collection[str], seeds: str | None) -> list[str]:
    """Return the names of the runs of some configurations with some seeds. Raises UserError."""
    known = {run.configuration for run in runs.values()}
    for name in ids:
        if name not in known:
            raise UserError(
                f"CONFIGURATIONS must be ids in {paths.EXPERIMENTS}, got {quote(name)}; use some of"
                f" {', '.join(sorted(known))}"
            )
    try:
        wanted = configurations.seed_range(seeds) if seeds else None
    except ValueError as error:
        raise UserError(
            f"SEEDS {error}, got {quote(seeds)}; run `make experiments SEEDS=1-5`"
        ) from None
    selected = [
        name
        for name, run in runs.items()
        if (not ids or run.configuration in ids) and (wanted is None or run.recipe.seed in wanted)
    ]
    if not selected:
        raise UserError(
            f"SEEDS must be seeds that {paths.EXPERIMENTS} has for these configurations, got"
            f" {quote(seeds)}; add them there, or use others"
        )
    return selected


def on_cluster(address: str) -> RunAll:
    """Return how to run on a Ray cluster. Raises UserError if Ray or the cluster is missing."""
    if find_spec("ray") is None:
        raise UserError("Ray is not installed; run `pip install -r requirements.lock`")
    from experiments.cluster import driver

    return partial(driver.run_all, driver.check_address(address))


def check_workspace() -> None:
    """Raise UserError if an experiment would not have the same files as the workspace.

    Experiments run in clones, which have the files of the last commit.
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
            f"{name} has uncommitted changes, which experiments would lack; commit them, or discard"
            f" them with `git restore {name}`"
        )
    code = (f"{folder}/*.py" for folder in ("models", "stages", "study"))
    for name in git.paths("ls-files", "--others", "--exclude-standard", "-z", "--", *code):
        raise UserError(
            f"{name} is not in Git, so experiments would run without it; `git add {name}` and"
            " commit it"
        )


def check_table(obsolete: Collection[str]) -> None:
    """Say how many rows are about to be removed. Raises UserError if Git does not have the table.

    `obsolete` are the names of their runs, at least one.
    """
    rows = (
        f"rows of runs that {paths.EXPERIMENTS} and {paths.PARAMS} no longer ask for"
        f" ({len(obsolete)}, such as {next(iter(obsolete))})"
    )
    if git.call("status", "--porcelain", "--", str(paths.RUNS)):
        raise UserError(
            f"{paths.RUNS} has uncommitted changes and {rows}; commit it, so that Git keeps what"
            " `make experiments` removes"
        )
    print(f"removing {rows}; Git has them")


@contextmanager
def lock() -> Iterator[None]:
    """Hold a lock, so that two processes do not do the same runs. Raises UserError if held."""
    folder.FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder.LOCK).acquire(blocking=False)
    except Timeout:
        raise UserError(
            "another `make experiments` is in progress; wait for it or stop it"
        ) from None
    with held:
        yield


if __name__ == "__main__":
    run(main)
