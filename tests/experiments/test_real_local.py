"""`make experiments` on this machine."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from experiments import folder
from stages import paths
from tests.checkout import Checkout
from tests.experiments import held_study
from tests.experiments.held_study import (
    MODEL,
    interrupt_at,
    make_experiments,
    plan,
    processes_below,
    reference,
    rows,
)
from tests.mounts import small_disk


def names(checkout: Checkout) -> list[str]:
    """Return the names in the run table."""
    return [row.name for row in rows(checkout)]


@pytest.mark.slow
def test_interrupted_experiments_continue(tmp_path: Path, mnist_folder: Path) -> None:
    checkout, trainings = held_study.create(tmp_path, mnist_folder)
    plan(checkout, [1, 10], broken_seeds=[1, 10])
    with make_experiments(checkout, "SEEDS=1", "CONFIGURATIONS=fine broken") as make:
        text, _ = make.communicate()
    assert "1 of 2 done, 0 running, 0 queued, 1 failed" in text
    assert names(checkout) == ["fine-seed-1"]

    with make_experiments(checkout) as make:
        text = interrupt_at(make, "1 of 4 done, 1 running, 0 queued, 2 failed")
    assert make.returncode != 0, text
    assert "stopped with 3 of 4 " in text
    assert "Traceback" not in text
    assert processes_below(checkout.root) == []
    assert names(checkout) == ["fine-seed-1"]
    assert trainings.seeds() == [1]

    trainings.release(10)
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode != 0, text
    failed = re.findall(r"^failed: (\S+) .* (\S+)$", text, re.MULTILINE)
    assert [name for name, _ in failed] == ["broken-seed-1", "broken-seed-10"]
    assert all("ValueError: broken" in (checkout.root / log).read_text() for _, log in failed)
    assert trainings.seeds() == [1, 10]
    assert names(checkout) == ["fine-seed-1", "fine-seed-10"]
    assert not (checkout.root / folder.WORKSPACES).exists()
    changed = checkout.run("git", "status", "--porcelain", "--untracked-files=all").split()
    assert changed == ["??", str(paths.RUNS)]

    # Each is an experiment to DVC.
    head = checkout.run("git", "rev-parse", "HEAD").strip()
    shown = checkout.run("dvc", "exp", "show", "--csv")
    for row in rows(checkout):
        assert row.revision == head
        assert row.name in shown
        checkout.run("dvc", "exp", "branch", row.name, f"branch-{row.name}")
        metrics = checkout.run("git", "show", f"branch-{row.name}:{paths.metrics(MODEL)}")
        assert f'"accuracy": {float(row.metrics["accuracy"])},' in metrics
    checkout.attempt("dvc", "exp", "apply", "fine-seed-10")  # the stages of model_3 have not run
    assert checkout.run("dvc", "status", f"evaluate@{MODEL}").endswith("up to date.\n")


@pytest.mark.slow
@pytest.mark.fault(
    "`make experiments` killed with kill -9",
    "its processes end within seconds; the next one does what is missing, and no run twice",
)
def test_killed_experiments_continue(tmp_path: Path, mnist_folder: Path) -> None:
    checkout, trainings = held_study.create(tmp_path, mnist_folder)
    plan(checkout, [1, 10])
    with make_experiments(checkout) as make:
        assert make.stdout is not None
        for line in make.stdout:
            if "1 of 2 done, 1 running" in line:
                break
        while not trainings.process(10):
            assert make.poll() is None
            time.sleep(0.1)
        os.killpg(make.pid, signal.SIGKILL)
    assert psutil.wait_procs(processes_below(checkout.root), 20)[1] == []
    assert names(checkout) == ["fine-seed-1"]
    commit = reference(checkout, "fine-seed-1")

    trainings.release(10)
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert names(checkout) == ["fine-seed-1", "fine-seed-10"]
    assert trainings.seeds() == [1, 10]
    # The result of a repeated training could come from DVC's cache; its commit could not.
    assert commit == reference(checkout, "fine-seed-1")


@pytest.mark.slow
@pytest.mark.fault(
    "a full disk (tmpfs) under the workspaces of `make experiments`",
    "one line with the room that is needed; with it, the runs go on",
)
def test_full_disk_is_reported(tmp_path: Path, mnist_folder: Path) -> None:
    checkout, _ = held_study.create(tmp_path, mnist_folder)
    plan(checkout, [1])
    full = checkout.root / folder.FOLDER
    full.mkdir(parents=True)
    with small_disk(full, "1m"), make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode != 0
    assert "Traceback" not in text
    (line,) = (line for line in text.splitlines() if line.startswith("error: "))
    assert str(folder.WORKSPACES) in line
    assert "MiB" in line
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert names(checkout) == ["fine-seed-1"]


@pytest.mark.slow
@pytest.mark.fault(
    "`make experiments` and `make verify` in a subdirectory of a larger Git repository",
    "the same as at the root",
    2,
)
def test_study_in_a_larger_repository_has_its_runs_recorded_and_verified(
    tmp_path: Path, mnist_folder: Path
) -> None:
    alone, trainings = held_study.create(tmp_path, mnist_folder)
    study = Checkout(tmp_path / "larger/studies/mnist", alone.environment)
    shutil.rmtree(alone.root / ".git")
    shutil.move(alone.root, study.root)
    study.run("git", "init", "--quiet", str(tmp_path / "larger"))
    study.run("git", "config", "user.name", "A user")
    study.run("git", "config", "user.email", "user@example.org")
    plan(study, [1, 2])
    with make_experiments(study, "SEEDS=1") as make:
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert names(study) == ["fine-seed-1"]
    with make_experiments(study) as make:
        text, _ = make.communicate()
    assert make.returncode == 0, text
    assert names(study) == ["fine-seed-1", "fine-seed-2"]
    assert trainings.seeds() == [1, 2]
    assert all(name in study.run("dvc", "exp", "show", "--csv") for name in names(study))

    study.run("dvc", "repro", f"summarize@{MODEL}", f"evaluate@{MODEL}")
    study.commit("Results")
    output = study.run("make", "VENV=", f"MODELS={MODEL}", "verify")
    assert f"same    {paths.weights(MODEL)}" in output
