"""Train again from nothing, in a clone, and compare every output with the committed dvc.lock.

`python -m tests.verify` does so for all models, `python -m tests.verify model_3` for some. Prints
a line per output; ends with status 1 when one differs.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

Sums = dict[str, str]


def main() -> None:
    models = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", clone], check=True)
        # Whatever the user has configured: a cache elsewhere could spare it the training.
        cache = ["dvc", "cache", "dir", "--quiet", "--local", ".dvc/cache"]
        subprocess.run(cache, cwd=clone, check=True)
        lock = clone / "dvc.lock"
        committed = sums(lock)
        lock.unlink()  # so that every stage runs, and only what ran stands in the new one
        if Path("data/mnist").is_dir():
            shutil.copytree("data/mnist", clone / "data/mnist")
        reproduce(clone, models)
        again = sums(lock)
    stages = [stage for stage in committed if not models or stage.endswith(tuple(models))]
    same = True
    for stage in stages:
        for path, committed_sum in committed[stage].items():
            equal = again.get(stage, {}).get(path) == committed_sum
            same = same and equal
            print("same   " if equal else "DIFFERS", path)
    sys.exit(0 if same and stages else 1)


def reproduce(clone: Path, models: list[str]) -> None:
    """Run the pipeline in a clone that has no cache, or the part that some models need."""
    if models:
        targets = [f"{stage}@{model}" for model in models for stage in ("summarize", "evaluate")]
        command = ["dvc", "repro", *targets]
    else:
        command = ["make", "VENV=", "repro"]  # with the packages that this runs with
    subprocess.run(command, cwd=clone, check=True)


def sums(lock: Path) -> dict[str, Sums]:
    """Read the sum of each output of each stage."""
    stages: dict[str, Any] = yaml.safe_load(lock.read_text("utf-8"))["stages"]
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", [])}
        for name, stage in stages.items()
    }


if __name__ == "__main__":
    main()
