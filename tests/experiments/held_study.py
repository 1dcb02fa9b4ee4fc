"""A study with a model whose trainings are recorded, and can be held up or made to fail."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import psutil

from stages import paths
from study.evidence import run_table
from tests import small_study
from tests.checkout import Checkout

MODEL = "model_held"
NETWORK = "model_3"
HELD_FROM = 10
"""Trainings with this seed or a higher one wait for `Trainings.release`."""

SOURCE = '''\
"""{network}; its trainings are recorded, wait if the seed is high, fail if dropout is 0.5."""

import os
import sys
import time
from pathlib import Path

import yaml
from torch import nn

from models import {network}

FOLDER = Path({folder!r})


def model(dropout: float) -> nn.Sequential:
    if dropout == 0.5:
        raise ValueError("broken")
    if Path(sys.argv[0]).name == "train.py":
        seed = yaml.safe_load(Path("recipes/{name}.yaml").read_text("utf-8"))["seed"]
        (FOLDER / f"new-{{seed}}").write_text(str(os.getpid()))
        (FOLDER / f"new-{{seed}}").rename(FOLDER / f"process-{{seed}}")
        while seed >= {held_from} and not (FOLDER / f"go-{{seed}}").exists():
            time.sleep(0.1)
        with (FOLDER / "trained").open("a") as file:
            print(seed, file=file)
    return {network}.model(dropout)
'''


class Trainings:
    """The trainings of the model: they write into a folder, and wait for files in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def seeds(self) -> list[int]:
        """Return the seeds of the trainings that have passed the wait, in that order."""
        path = self.folder / "trained"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def process(self, seed: int) -> psutil.Process | None:
        """Return the process of a training that has begun."""
        path = self.folder / f"process-{seed}"
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            return psutil.Process(int(path.read_text()))
        return None

    def release(self, seed: int) -> None:
        """Let the trainings of a seed continue, from now on."""
        (self.folder / f"go-{seed}").touch()


def create(folder: Path, mnist: Path) -> tuple[Checkout, Trainings]:
    """Commit a study with the model in a new checkout."""
    checkout = small_study.create(folder, mnist, [NETWORK])
    trainings = Trainings(folder / "trainings")
    source = SOURCE.format(
        name=MODEL, network=NETWORK, folder=str(trainings.folder), held_from=HELD_FROM
    )
    (checkout.root / f"models/{MODEL}.py").write_text(source, encoding="utf-8")
    checkout.set({f"models.{MODEL}": {}})
    (checkout.root / paths.RUNS).unlink()
    checkout.commit("A model that can be held up")
    return checkout, trainings


def plan(checkout: Checkout, seeds: list[int], broken_seeds: list[int] | None = None) -> None:
    """Commit an experiments.yaml with a configuration `fine`; one that fails, if it has seeds."""
    text = f"""\
seeds: {seeds}
configurations:
  - id: fine
    model: {MODEL}
    description: a model
"""
    if broken_seeds:
        text += f"""\
  - id: broken
    model: {MODEL}
    description: a network that cannot be built
    set: {{train.dropout: 0.5}}
    seeds: {broken_seeds}
"""
    (checkout.root / paths.EXPERIMENTS).write_text(text, encoding="utf-8")
    checkout.commit(f"Seeds {seeds}")


@contextmanager
def make_experiments(checkout: Checkout, *variables: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `make experiments`, for at most ten minutes."""
    # With the packages that the tests run with, instead of a .venv of its own.
    with checkout.start("make", "VENV=", "JOBS=2", *variables, "experiments") as make:
        timer = Timer(600, os.killpg, (make.pid, signal.SIGKILL))
        timer.start()
        try:
            yield make
            make.wait()
        except BaseException:  # its trainings may be held for as long as the timer runs
            os.killpg(make.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()


def interrupt_at(make: "subprocess.Popen[str]", words: str) -> str:
    """Press Ctrl-C when a line with these words is printed; return all that is printed."""
    assert make.stdout is not None
    text = ""
    for line in make.stdout:
        text += line
        if words in line:
            os.killpg(make.pid, signal.SIGINT)  # the terminal's process group
    return text


def processes_below(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder or below it, even if it has been removed."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd().startswith(str(folder)):
                found.append(process)
    return found


def rows(checkout: Checkout) -> list[run_table.Row]:
    """Return the rows of the run table."""
    return run_table.from_csv((checkout.root / paths.RUNS).read_text("utf-8"))


def reference(checkout: Checkout, name: str) -> str:
    """Return the commit of a finished run."""
    (line,) = checkout.run("git", "for-each-ref", f"refs/exps/**/{name}").splitlines()
    return line.split()[0]
