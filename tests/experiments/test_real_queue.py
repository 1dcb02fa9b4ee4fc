"""`make experiments` through DVC's queue."""

import re
from pathlib import Path

import pytest

from stages import paths
from tests.checkout import Checkout
from tests.experiments import held_study
from tests.experiments.held_study import (
    MODEL,
    configurations,
    interrupt_at,
    make_experiments,
    processes_below,
    reference,
    rows,
)


@pytest.mark.slow
def test_make_rejects_jobs_that_are_not_a_number(tmp_path: Path, mnist_folder: Path) -> None:
    checkout = Checkout.create(tmp_path, mnist_folder)
    status, output = checkout.attempt("make", "VENV=", "JOBS=two", "experiments")
    assert status != 0
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert "JOBS" in line
    assert "two" in line


@pytest.mark.slow
def test_interrupted_experiments_continue(tmp_path: Path, mnist_folder: Path) -> None:
    checkout, trainings = held_study.create(tmp_path, mnist_folder)
    text = configurations([1, 10], [1, 10])
    (checkout.root / paths.EXPERIMENTS).write_text(text, encoding="utf-8")
    checkout.commit("Two configurations")
    with make_experiments(checkout) as make:
        text = interrupt_at(make, "1 of 4 done, 1 running, 0 queued, 2 failed")
    assert make.returncode != 0, text
    assert "stopped; 3 of 4 " in text
    assert "Traceback" not in text
    assert processes_below(checkout.root) == []
    assert [row.name for row in rows(checkout)] == ["fine-seed-1"]
    assert trainings.seeds() == [1]

    trainings.release(10)
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert make.returncode != 0, text
    queued = re.findall("^queueing (.*)$", text, re.MULTILINE)
    assert queued == ["broken-seed-1", "fine-seed-10", "broken-seed-10"]
    failed = re.findall(r"^failed: (\S+) .*`(.*)`$", text, re.MULTILINE)
    assert failed == [(f"broken-seed-{n}", f"dvc queue logs broken-seed-{n}") for n in (1, 10)]
    assert "ValueError: broken" in checkout.run(*failed[0][1].split())
    assert trainings.seeds() == [1, 10]
    assert [row.name for row in rows(checkout)] == ["fine-seed-1", "fine-seed-10"]
    head = checkout.run("git", "rev-parse", "HEAD").strip()
    for row in rows(checkout):
        assert row.revision == head
        path = f"{reference(checkout, row.name)}:{paths.metrics(MODEL)}"
        metrics = checkout.run("git", "show", path)
        assert f'"accuracy": {float(row.metrics["accuracy"])},' in metrics
    changed = checkout.run("git", "status", "--porcelain", "--untracked-files=all").split()
    assert changed == ["??", str(paths.RUNS)]

    checkout.commit("The run table")
    with make_experiments(checkout) as make:
        text, _ = make.communicate()
    assert "queueing fine" not in text
