"""A few runs, and experiments as DVC commits them."""

import json
from typing import Any

import yaml

import models
from experiments import git
from stages import paths
from study.base.files import write
from study.evaluation.metrics import METRICS
from study.evidence import configurations
from study.recipes import params_file
from study.training import history
from study.training.history import Epoch
from tests.checkout import ROOT, place

PARAMS = (ROOT / "params.yaml").read_text("utf-8")
RUNS = configurations.runs(
    """\
seeds: [1, 7]
configurations:
  - id: default
    model: model_4
    description: Model 4
    default: true
  - id: short
    model: model_5
    description: Model 5 with few epochs
    set: {models.model_5.epochs: 3, train.momentum: 0.8}
""",
    params_file.read(PARAMS, models.names()),
)
SHORT, DEFAULT, LONG = "short-seed-1", "default-seed-1", "short-seed-7"


def commit(message: str) -> str:
    """Commit what is staged, and return the commit's name."""
    git.call("commit", "--quiet", "--allow-empty", "--message", message)
    return git.call("rev-parse", "HEAD").strip()


def finish(name: str, momentum: float | None = None, **metrics: float | None) -> str:
    """Commit what DVC commits of a finished run, and return its reference.

    Values other than the run's can be given; a metric that is None is left out.
    """
    run = RUNS[name]
    values: Any = yaml.safe_load(PARAMS)
    for override in run.overrides:
        key, _, value = override.partition("=")
        mapping, last = place(values, key)
        mapping[last] = value
    if momentum is not None:
        values["train"]["momentum"] = momentum
    written = dict.fromkeys(METRICS, 1.5) | {"parameters": 2} | metrics
    files = {
        paths.PARAMS: yaml.safe_dump(values),
        paths.metrics(run.model): json.dumps(
            {key: value for key, value in written.items() if value is not None}
        ),
        paths.history(run.model): history.to_csv(
            [Epoch(number, 0.5, 97, 0.25, 0.125, 98.1) for number in range(run.recipe.epochs)]
        ),
    }
    for path, text in files.items():
        write(path, text)
        git.call("add", str(path))
    revision = git.call("rev-parse", "HEAD").strip()
    tree = git.call("write-tree").strip()
    made = git.call("commit-tree", "-p", revision, "-m", "dvc: commit experiment", tree).strip()
    ref = f"refs/exps/{revision[:2]}/{revision[2:]}/{name}"
    git.call("update-ref", ref, made)
    return ref
