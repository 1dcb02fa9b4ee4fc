"""DVC's commands: how it runs an experiment, and where it keeps outputs."""

import subprocess
import sys
from pathlib import Path

from study.base.errors import UserError
from study.evidence.configurations import Run


def exp_run(run: Run) -> list[str]:
    """Return DVC's command for a run: only the stages that its model's evaluation needs."""
    changes = (part for override in run.overrides for part in ("-S", override))
    return ["exp", "run", "--name", run.name, *changes, f"evaluate@{run.model}"]


def cache() -> Path:
    """Return the folder of DVC's cache. Raises UserError."""
    return Path(call("cache", "dir").splitlines()[-1])


def call(*arguments: str, folder: Path = Path()) -> str:
    """Run a DVC command in a folder and return its output. Raises UserError if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C does not reach it
    )
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)}: {reason(done.stdout)}")
    return done.stdout


def reason(output: str) -> str:
    """Return the errors in DVC's output without the advice that follows; else its last line."""
    lines = output.strip().splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "; ".join(errors or lines[-1:])
