"""Train again from nothing, in a clone, and compare each output with the committed dvc.lock.

Prints a line for each output, and ends with status 1 if one differs.
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
from experiments import workspace
from stages.command import parser, run
from study.base.errors import UserError

Sums = dict[str, dict[str, str]]
"""By stage and path: the MD5 sum of an output."""


def main() -> None:
    """Verify the models that the command names, or the whole study."""
    chosen = parse_models()
    with tempfile.TemporaryDirectory() as folder:
        call(Path(), "git", "clone", "--quiet", workspace.root(), f"{folder}/clone")
        study = Path(folder) / "clone" / workspace.prefix()
        # A cache that the user has configured elsewhere could spare the clone the training.
        call(study, "dvc", "cache", "dir", "--quiet", "--local", ".dvc/cache")
        lock = study / "dvc.lock"
        committed = output_sums(lock)
        lock.unlink()  # every stage runs; the new one has only stages that dvc.yaml still has
        if Path("data/mnist").is_dir():
            shutil.copytree("data/mnist", study / "data/mnist")
        reproduce(study, chosen)
        reproduced = output_sums(lock)
    same = compare(committed, reproduced)
    for path, is_same in same.items():
        print("same   " if is_same else "DIFFERS", path)
    sys.exit(0 if all(same.values()) else 1)


def parse_models() -> list[str]:
    """Return the models that the command names; none for all. Raises UserError."""
    command = parser()
    command.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="name of a model to verify, as in params.yaml; if none is named, the whole study is",
    )
    chosen: list[str] = command.parse_args().models
    for model in chosen:
        if model not in models.names():
            raise UserError(f"MODELS must be some of {', '.join(models.names())}, got {model}")
    return chosen


def reproduce(study: Path, chosen: list[str]) -> None:
    """Run the whole pipeline in the study's folder of a clone, or the stages of some models."""
    if chosen:
        stages = (f"{stage}@{model}" for model in chosen for stage in ("summarize", "evaluate"))
        call(study, "dvc", "repro", *stages)
    else:
        call(study, "make", "VENV=", "repro")  # with the packages that this runs with


def call(folder: Path, *command: str) -> None:
    """Run a command whose stages end with this process. Raises UserError if it fails."""
    environment = os.environ | {"END_WITH_PID": str(os.getpid())}
    if status := subprocess.run(command, cwd=folder, env=environment).returncode:
        raise UserError(f"{' '.join(command)}: failed with status {status}; see its output above")


def compare(committed: Sums, reproduced: Sums) -> dict[str, bool]:
    """Return whether each reproduced output has the committed sum, by its path."""
    return {
        path: committed.get(stage, {}).get(path) == reproduced_sum
        for stage, sums in reproduced.items()
        for path, reproduced_sum in sums.items()
    }


def output_sums(lock: Path) -> Sums:
    """Return the sums of the outputs in a dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load(lock.read_text("utf-8"))["stages"]
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", [])}
        for name, stage in stages.items()
    }


if __name__ == "__main__":
    run(main)
