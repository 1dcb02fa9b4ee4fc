"""The Makefile: its list of targets, and mistakes in what it is told."""

import json
import re
from pathlib import Path

import pytest

from stages import paths
from tests.checkout import ROOT, Checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    return Checkout.create(tmp_path_factory.mktemp("makefile"), mnist_folder)


def test_help_describes_every_target(checkout: Checkout) -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"(?m)^\.PHONY: (.*)", text)
    described = dict(line.split(maxsplit=1) for line in checkout.run("make").splitlines())
    # `train` is a part of `repro`.
    assert set(described) == set(phony.split()) - {"train"}


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "2.5"])
def test_repro_names_a_number_of_jobs_that_is_not_one(checkout: Checkout, jobs: str) -> None:
    """Make itself would run all at once for 0."""
    status, output = checkout.attempt("make", "VENV=", f"JOBS={jobs}", "repro")
    assert status != 0
    (line,) = re.findall("(?m)^error: .*", output)
    assert "JOBS" in line
    assert line.endswith(f"got '{jobs}'")
    assert "Running stage" not in output


def test_experiments_names_a_number_of_jobs_that_is_not_one(checkout: Checkout) -> None:
    status, output = checkout.attempt("make", "VENV=", "JOBS=two", "experiments")
    assert status != 0
    (line,) = re.findall("(?m)^error: .*", output)
    assert "JOBS" in line
    assert "two" in line


def test_verify_names_an_unknown_model(checkout: Checkout) -> None:
    status, output = checkout.attempt("make", "VENV=", "MODELS=model_3 model_9", "verify")
    assert status != 0
    (line,) = re.findall("(?m)^error: .*", output)
    assert {"MODELS", "model_9", "model_3"} <= set(re.findall(r"\w+", line))
    assert "Traceback" not in output


def test_compare_changes_nothing(checkout: Checkout) -> None:
    output = checkout.run("make", "VENV=", "A=model_2", "B=model_4", "compare")
    for model in ("model_2", "model_4"):
        metrics = json.loads((checkout.root / paths.metrics(model)).read_text("utf-8"))
        assert f"{metrics['accuracy']:.2f}" in output
    assert checkout.changed() == []


def test_compare_names_missing_metrics(checkout: Checkout) -> None:
    metrics = checkout.root / paths.metrics("model_4")
    metrics.unlink()
    status, output = checkout.attempt("make", "VENV=", "A=model_2", "B=model_4", "compare")
    checkout.run("git", "restore", ".")
    assert status != 0
    (line,) = re.findall("(?m)^error: .*", output)
    assert str(paths.metrics("model_4")) in line
    assert "`dvc repro`" in line
    assert "Traceback" not in output


@pytest.mark.slow
def test_first_look_leaves_the_workspace_as_it_was(checkout: Checkout) -> None:
    output = checkout.run("make", "VENV=", "first-look")
    shown = re.findall(r"(?m)^(metrics/models/\S+) +accuracy +(\S+) +(\S+)", output)
    assert sorted(path for path, *_ in shown) == [str(paths.metrics(f"model_{n}")) for n in (1, 2)]
    for path, committed, brief in shown:
        metrics = json.loads((checkout.root / path).read_text("utf-8"))
        assert float(committed) == metrics["accuracy"]
        assert 50 < float(brief) < metrics["accuracy"]
    assert checkout.changed() == []
    assert not (checkout.root / paths.MNIST).exists()
