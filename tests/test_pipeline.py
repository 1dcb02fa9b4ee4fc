"""The pipeline, run by DVC and make as a user runs it: what runs again after which change?

On real MNIST, with few images and as few epochs as there can be. One checkout serves all tests: it
is made and run once, each test starts from what that run left, and what a test changes is undone.
Most of the time goes into starting Python and torch, two or three seconds a stage.
"""

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

import models
from tests.checkout import ROOT, Checkout

MODELS = models.names()
PARAMETERS = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


def with_own(key: str) -> list[str]:
    """The models with a value of their own, which do not follow `train`'s."""
    return [name for name, own in PARAMETERS["models"].items() if key in own]


SMALL = {
    "train.epochs": 1,
    "train.train_images": 600,
    "train.batch_size": 128,
    "train.dropout": 0.1,
    "candidate": "model_1",
    **{f"models.{model}.epochs": 2 for model in with_own("epochs")},
}
# Not `claims`: what it reads is as it was committed.
ONCE = ["validate", "download", "candidate", "report"]


def each(stage: str, names: Iterable[str] = MODELS) -> list[str]:
    return [f"{stage}@{model}" for model in names]


def ran(output: str) -> list[str]:
    """The stages that ran; not those that DVC skipped or took from its cache of runs."""
    return sorted(re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def reproduced(
    tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path
) -> tuple[Checkout, str]:
    """A checkout in which the study has run and is committed, and what the run wrote."""
    checkout = Checkout.create(tmp_path_factory.mktemp("pipeline"), mnist_folder)
    checkout.set(SMALL)
    # With the packages that the tests run with, instead of a .venv of its own.
    output = checkout.run("make", "VENV=", "JOBS=2", "repro")
    checkout.commit("Results")
    return checkout, output


@pytest.fixture
def checkout(reproduced: tuple[Checkout, str]) -> Iterator[Checkout]:
    checkout, _ = reproduced
    yield checkout
    checkout.restore()
    checkout.run("dvc", "checkout", "--quiet", "--force")


def differences(checkout: Checkout, *revisions: str) -> Any:
    """What `dvc metrics diff` says, as {file: {key: {old, new, diff}}}."""
    return json.loads(checkout.run("dvc", "metrics", "diff", "--json", *revisions))


def metrics(checkout: Checkout, name: str) -> dict[str, float]:
    values: dict[str, float] = json.loads((checkout.root / f"metrics/{name}.json").read_text())
    return values


def test_make_repro_runs_every_stage_once(reproduced: tuple[Checkout, str]) -> None:
    _, output = reproduced
    assert ran(output) == sorted(ONCE + each("summarize") + each("train") + each("evaluate"))


def test_a_second_time_nothing(checkout: Checkout) -> None:
    output = checkout.run("dvc", "repro")
    assert ran(output) == []
    assert "Data and pipelines are up to date." in output
    assert checkout.run("git", "status", "--porcelain") == ""


def test_todays_value_changes_nothing(checkout: Checkout) -> None:
    assert ran(checkout.run("dvc", "exp", "run", "-S", "train.dropout=0.1")) == []


def test_metrics_are_one_row_per_model(checkout: Checkout) -> None:
    header, *rows = checkout.run("dvc", "metrics", "show").splitlines()
    keys = ["accuracy", "best_accuracy", "last_epochs_std", "loss", "parameters", "train_accuracy"]
    assert header.split() == ["Path", *keys]
    expected = {
        f"metrics/{name}.json": [str(metrics(checkout, name)[key]) for key in keys]
        for name in [*MODELS, "candidate"]
    }
    assert {row.split()[0]: row.split()[1:] for row in rows} == expected


def test_plots_overlay_the_models(checkout: Checkout) -> None:
    checkout.run("dvc", "plots", "show")
    page = (checkout.root / "dvc_plots/index.html").read_text("utf-8")
    titles = re.findall(r'"title": \{"text": "(.+?)"', page)
    for title in ["Test accuracy", "Test loss", *(f"{model}: test images" for model in MODELS)]:
        assert titles.count(title) == 1
    assert checkout.run("git", "status", "--porcelain") == ""


def test_another_candidate_trains_nothing(checkout: Checkout) -> None:
    output = checkout.run("dvc", "exp", "run", "-S", "candidate=model_2")
    assert ran(output) == ["candidate", "validate"]

    old, new = metrics(checkout, "model_1"), metrics(checkout, "model_2")
    changes = {
        key: {"old": old[key], "new": new[key], "diff": pytest.approx(new[key] - old[key])}
        for key in old
        if new[key] != old[key]
    }
    assert changes["parameters"]["diff"] == 176
    assert differences(checkout) == {"metrics/candidate.json": changes}


def test_an_edit_to_the_figures_concerns_the_report(checkout: Checkout) -> None:
    checkout.edit("study/figures.py", "WIDTH = 8.0", "WIDTH = 7.0")
    assert ran(checkout.run("dvc", "repro")) == ["report"]
    changed = checkout.run("git", "diff", "--name-only").split()
    assert "reports/figures/curves.svg" in changed
    assert all(name.startswith(("reports/", "dvc.lock", "study/")) for name in changed)


def test_an_edit_to_a_model_concerns_that_model(checkout: Checkout) -> None:
    checkout.edit("models/model_4.py", "AvgPool2d", "MaxPool2d")
    mine = ["summarize@model_4", "train@model_4", "evaluate@model_4", "report"]
    assert ran(checkout.run("dvc", "repro")) == sorted(mine)
    assert set(differences(checkout)) == {"metrics/model_4.json"}
    assert "MaxPool2d" in (checkout.root / "summaries/model_4.txt").read_text().splitlines()[-5]


def test_a_value_of_one_model_concerns_that_model(checkout: Checkout) -> None:
    output = checkout.run("dvc", "exp", "run", "-S", "models.model_5.epochs=1")
    assert ran(output) == sorted(["validate", "train@model_5", "evaluate@model_5", "report"])
    assert set(differences(checkout)) == {"metrics/model_5.json"}


@pytest.mark.parametrize(("key", "value"), [("epochs", 2), ("dropout", 0.15)])
def test_a_value_of_all_concerns_the_models_without_their_own(
    checkout: Checkout, key: str, value: float
) -> None:
    output = checkout.run("dvc", "exp", "run", "-S", f"train.{key}={value}")
    own = with_own(key)
    assert own
    theirs = [model for model in MODELS if model not in own]
    assert ran(output) == sorted(
        ["validate", *each("train", theirs), *each("evaluate", theirs), "candidate", "report"]
    )


def test_held_out_images_take_the_test_set_s_place(checkout: Checkout) -> None:
    """Everywhere, and everywhere said."""
    output = checkout.run("dvc", "exp", "run", "-S", "train.validation_images=500")
    assert ran(output) == sorted(
        ["validate", *each("train"), *each("evaluate"), "candidate", "report"]
    )
    assert all(
        metrics(checkout, name)["validation_images"] == 500 for name in [*MODELS, "candidate"]
    )
    answers = (checkout.root / "predictions/model_4.csv").read_text("utf-8").splitlines()
    assert len(answers) == 1 + 500
    report = (checkout.root / "reports/report.md").read_text("utf-8")
    assert "are of the last 500 training images, which were held out" in report


def test_training_again_gives_the_same_bytes(checkout: Checkout) -> None:
    weights = checkout.root / "weights/model_3.safetensors"
    before = weights.read_bytes()
    output = checkout.run("dvc", "repro", "--force", "--single-item", "train@model_3")
    assert ran(output) == ["train@model_3"]
    assert weights.read_bytes() == before
    # Nor does DVC's own record of sums change, nor the history.
    assert checkout.run("git", "status", "--porcelain") == ""


def test_ctrl_c_ends_everything(checkout: Checkout) -> None:
    checkout.set({key: 1000 for key in SMALL if key.endswith("epochs")})
    before = trainings(checkout)
    with checkout.start("make", "VENV=", "JOBS=2", "repro") as make:
        assert make.stdout is not None
        training: set[str] = set()
        for line in make.stdout:
            training |= set(re.findall(r"^(\w+) \| .* \| Test set: ", line))
            if len(training) == 2:
                break
        os.killpg(make.pid, signal.SIGINT)
        try:
            last_words, _ = make.communicate(timeout=60)
            with pytest.raises(ProcessLookupError):
                os.killpg(make.pid, 0)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGKILL)
    assert make.returncode != 0
    assert "Traceback" not in last_words

    # The outputs of these two are gone, the others whole as before; DVC knows which is which.
    status = json.loads(checkout.run("dvc", "status", "--json", *each("train")))
    for model in MODELS:
        gone = {"changed outs": dict.fromkeys(outs(model), "deleted")}
        assert (gone in status[f"train@{model}"]) is (model in training)
        assert all((checkout.root / out).exists() is (model not in training) for out in outs(model))
    assert not list(checkout.root.glob("**/.*.safetensors"))
    assert trainings(checkout) == before


def outs(model: str) -> list[str]:
    return [f"weights/{model}.safetensors", f"metrics/history/{model}.csv"]


def trainings(checkout: Checkout) -> dict[str, Any]:
    """What DVC holds for finished: the sums of what went into each training and came out of it."""
    lock = yaml.safe_load((checkout.root / "dvc.lock").read_text("utf-8"))
    return {stage: lock["stages"][stage] for stage in each("train")}


def in_readme(start: str) -> list[str]:
    """The command that README shows with this start, as a shell takes it apart."""
    (line,) = re.findall(rf"(?m)^\$ ({start}.*)$", (ROOT / "README.md").read_text("utf-8"))
    return shlex.split(line, comments=True)


def finished(status: str) -> set[str]:
    """The experiments of which `dvc queue status` tells how they ended."""
    return set(re.findall(r"(?m)^\w{7} +(\S+) .* (?:Success|Failed) *$", status))


@pytest.mark.slow
@pytest.mark.parametrize(
    "values", [in_readme("dvc exp run --queue")[-1], "train.dropout=0.075,0.15"]
)
def test_queued_experiments(checkout: Checkout, values: str) -> None:
    """As README says it, and at 100 columns the table that it promises."""
    queued = checkout.run("dvc", "exp", "run", "--queue", "-S", values)
    names = re.findall(r"Queued experiment '(.+)'", queued)
    start = in_readme("dvc queue start")
    checkout.run(*start)
    try:
        deadline = time.monotonic() + 1200
        # One that is taken up while DVC looks is neither queued nor running.
        while not set(names) <= finished(status := checkout.run("dvc", "queue", "status")):
            assert time.monotonic() < deadline, status
            # DVC's workers can stop before the queue is empty (DVC's issue 10562); README says what
            # to do then.
            if "Queued" in status and "0 active, 0 idle" in status:
                checkout.run(*start)
            time.sleep(5)
    finally:
        checkout.run("dvc", "queue", "stop", "--kill")
    assert checkout.run("git", "status", "--porcelain") == ""

    table = checkout.run(*in_readme("dvc exp show"))
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 100
    for name, value in zip(names, values.partition("=")[2].split(","), strict=True):
        (row,) = (line for line in table.splitlines() if f"[{name}]" in line)
        assert {"Success", value} < set(row.split()), f"{status}\n{table}"
        assert differences(checkout, "main", name)


@pytest.mark.slow
def test_the_way_back(checkout: Checkout) -> None:
    checkout.run(*in_readme("dvc exp run -S models"))
    assert set(differences(checkout)) == {"metrics/model_5.json"}
    back = "git restore . && dvc checkout"
    assert f"$ {back}" in (ROOT / "README.md").read_text("utf-8")
    checkout.run("bash", "-c", back)
    assert differences(checkout) == {}
    assert ran(checkout.run("dvc", "repro")) == []
