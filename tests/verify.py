"""Train again from nothing, in a clone, and compare every output with the committed dvc.lock.

`python -m tests.verify` does so for all models, `python -m tests.verify model_3` for some. Prints
a line per output; ends with status 1 when one differs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

import models
from stages.command import run
from study.base.errors import UserError, quote

Sums = dict[str, str]


def main() -> None:
    chosen = sys.argv[1:]
    for model in chosen:
        if model not in models.names():
            known = ", ".join(models.names())
            raise UserError(f"MODELS = {quote(model)}: give some of {known}, or none for all")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        call(Path(), "git", "clone", "--quiet", ".", str(clone))
        # Whatever the user has configured: a cache elsewhere could spare it the training.
        call(clone, "dvc", "cache", "dir", "--quiet", "--local", ".dvc/cache")
        lock = clone / "dvc.lock"
        committed = sums(lock)
        lock.unlink()  # so that every stage runs, and only what ran stands in the new one
        if Path("data/mnist").is_dir():
            shutil.copytree("data/mnist", clone / "data/mnist")
        reproduce(clone, chosen)
        again = sums(lock)
    stages = [stage for stage in committed if not chosen or stage.endswith(tuple(chosen))]
    same = True
    for stage in stages:
        for path, committed_sum in committed[stage].items():
            equal = again.get(stage, {}).get(path) == committed_sum
            same = same and equal
            print("same   " if equal else "DIFFERS", path)
    sys.exit(0 if same and stages else 1)


def reproduce(clone: Path, chosen: list[str]) -> None:
    """Run the pipeline in a clone that has no cache, or the part that some models need."""
    if chosen:
        stages = (f"{stage}@{model}" for model in chosen for stage in ("summarize", "evaluate"))
        call(clone, "dvc", "repro", *stages)
    else:
        call(clone, "make", "VENV=", "repro")  # with the packages that this runs with


def call(folder: Path, *command: str) -> None:
    """Run a command, whose stages end with this program. Raises UserError when it fails."""
    ends = os.environ | {"ENDS_WITH": str(os.getpid())}
    if status := subprocess.run(command, cwd=folder, env=ends).returncode:
        raise UserError(f"{' '.join(command)}: ended with status {status}, as it says above")


def sums(lock: Path) -> dict[str, Sums]:
    """Read the sum of each output of each stage."""
    stages: dict[str, Any] = yaml.safe_load(lock.read_text("utf-8"))["stages"]
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", [])}
        for name, stage in stages.items()
    }


if __name__ == "__main__":
    run(main)
