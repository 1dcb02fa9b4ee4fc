"""The pipeline as a user runs it, with real DVC, git and make: what runs after which change?

One checkout serves all tests. It holds a study of three models with few images, which has run once
(tests/small_study.py); each test starts from there. A stage takes 4 to 15 seconds, so most tests
ask DVC what is due (Checkout.due) instead of running it.
"""

import csv
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from stages import paths
from tests import small_study
from tests.checkout import ROOT, Checkout, stages_run
from tests.small_study import MODELS, OVERRIDDEN, PLAIN, VARIANT

# One worker of pytest-xdist runs all of them, so that one checkout is enough.
pytestmark = pytest.mark.xdist_group("pipeline")

VALIDATION_IMAGES = 50
"""Evaluation and the report take a fraction of the time that they take on 10,000 test images."""


def each(stage: str, names: Iterable[str] = MODELS) -> list[str]:
    return [f"{stage}@{model}" for model in names]


@pytest.fixture(scope="module")
def reproduced(
    tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path
) -> tuple[Checkout, str]:
    """A checkout in which the study has run and is committed, and the output of that run."""
    checkout = small_study.create(tmp_path_factory.mktemp("pipeline"), mnist_folder)
    checkout.set({"train.validation_images": VALIDATION_IMAGES, "train.batch_size": 16})
    # VENV= takes the packages that the tests run with, instead of creating .venv.
    output = checkout.run("make", "VENV=", "JOBS=2", "repro")
    checkout.commit("Results")
    return checkout, output


@pytest.fixture
def edited(reproduced: tuple[Checkout, str]) -> Iterator[Checkout]:
    """The checkout, for tests that leave alone what only DVC keeps."""
    checkout, _ = reproduced
    yield checkout
    checkout.restore()


@pytest.fixture
def checkout(edited: Checkout) -> Iterator[Checkout]:
    """The checkout, for tests that run stages."""
    yield edited
    edited.restore()
    edited.restore_outputs()


def metrics(checkout: Checkout, model: str) -> dict[str, float]:
    values: dict[str, float] = json.loads((checkout.root / paths.metrics(model)).read_text())
    return values


def metrics_diff(checkout: Checkout, *revisions: str) -> Any:
    """Return what `dvc metrics diff` shows, as {file: {key: {old, new, diff}}}."""
    return json.loads(checkout.run("dvc", "metrics", "diff", "--json", *revisions))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


# Nothing has changed


def test_make_repro_runs_every_stage_once(reproduced: tuple[Checkout, str]) -> None:
    _, output = reproduced
    once = ["recipes", "download", "claims", "report", "page", "candidate"]
    assert stages_run(output) == sorted(once + each("summarize") + each("train") + each("evaluate"))


def test_repro_unchanged_runs_nothing(edited: Checkout) -> None:
    output = edited.run("dvc", "repro")
    assert stages_run(output) == []
    assert "up to date" in output
    assert edited.changed() == []


def test_repro_in_subdirectory_runs_nothing(edited: Checkout) -> None:
    output = edited.run("env", "--chdir=docs", "dvc", "repro", "../dvc.yaml")
    assert stages_run(output) == []
    assert "up to date" in output


def test_same_values_written_differently_train_nothing(checkout: Checkout) -> None:
    """Also as text: `dvc exp run -S train.learning_rate=1e-2` writes what YAML 1.1 takes for it."""
    checkout.set({"train.dropout": "1e-1", "train.rotation": 0.0, "train.learning_rate": "1e-2"})
    checkout.run("dvc", "repro", "--force", "recipes")
    assert checkout.due() == []


@pytest.mark.slow
def test_training_again_gives_same_bytes(edited: Checkout) -> None:
    weights = edited.root / paths.weights(OVERRIDDEN)
    before = weights.read_bytes()
    train = f"train@{OVERRIDDEN}"
    assert stages_run(edited.run("dvc", "repro", "--force", "--single-item", train)) == [train]
    assert weights.read_bytes() == before
    assert edited.changed() == []  # neither the history nor the sums in dvc.lock


def test_committed_results_are_current(tmp_path: Path, mnist_folder: Path) -> None:
    """Of the whole study; if this fails, run `dvc repro` and commit what it writes."""
    whole = Checkout.create(tmp_path, mnist_folder)
    assert stages_run(whole.run("dvc", "repro", "--dry", "--allow-missing")) == []


def test_clone_before_pull_is_current(edited: Checkout, tmp_path: Path) -> None:
    """Also where Git would convert line ends, as on Windows: .gitattributes forbids it."""
    clone = clone_of(edited, tmp_path)
    assert stages_run(clone.run("dvc", "repro", "--dry", "--allow-missing")) == []


@pytest.mark.parametrize("kind", ["folder", "web server"])
def test_clone_after_pull_trains_nothing(checkout: Checkout, tmp_path: Path, kind: str) -> None:
    storage = tmp_path / "storage"
    set_remote(checkout, str(storage))
    checkout.run("dvc", "push", "--quiet")
    clone = clone_of(checkout, tmp_path)
    with served(storage) if kind == "web server" else nullcontext(str(storage)) as remote:
        set_remote(clone, remote)
        clone.run("dvc", "pull", "--quiet")
    assert clone.outputs() == checkout.outputs()
    assert stages_run(clone.run("dvc", "repro")) == []
    assert clone.changed() == []


def clone_of(checkout: Checkout, folder: Path) -> Checkout:
    """Clone the checkout as somebody else would: without what only DVC keeps."""
    clone = Checkout(folder / "clone", checkout.environment)
    checkout.run("git", "clone", "--quiet", "-c", "core.autocrlf=true", ".", str(clone.root))
    return clone


def set_remote(checkout: Checkout, url: str) -> None:
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {url}\n"
    (checkout.root / ".dvc/config.local").write_text(config, encoding="utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a web server that only reads; yield its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# On a pull request


def test_comment_shows_what_the_branch_changes(edited: Checkout, tmp_path: Path) -> None:
    """The steps of the workflow, in a merge like the one that GitHub checks out."""
    clone = clone_of(edited, tmp_path)
    clone.run("git", "config", "user.name", "A user")
    clone.run("git", "config", "user.email", "user@example.org")
    figures = clone.run("git", "ls-files", f"{paths.FIGURES}/*.svg").split()
    edited_there, removed_there, edited_here = figures[:3]
    clone.run("git", "switch", "--quiet", "--create", "branch")
    clone.set({"candidate": OVERRIDDEN})
    clone.run("python", "-m", "stages.candidate", OVERRIDDEN)
    clone.edit(edited_there, "</svg>", "<g/></svg>")
    clone.run("git", "rm", "--quiet", removed_there)
    clone.commit("Change")
    head = clone.run("git", "rev-parse", "HEAD").strip()
    clone.run("git", "switch", "--quiet", "main")
    clone.edit(edited_here, "</svg>", "<g/></svg>")
    clone.commit("Change something else meanwhile")
    clone.run("git", "merge", "--quiet", "--no-edit", "branch")

    table, _, images = posted(clone, tmp_path).partition("\n\n")
    rows = re.findall(r"(?m)^\| (metrics/\S+) +\| (\w+) +\| (\S+) +\| (\S+)", table)
    old, new = metrics(edited, PLAIN), metrics(edited, OVERRIDDEN)
    assert rows == [
        (str(paths.CANDIDATE), key, str(old[key]), str(new[key]))
        for key in sorted(old)
        if old[key] != new[key]
    ]
    (figure,) = re.findall(r"!\[.*\]\((.*)\)", images)
    assert figure.partition("?")[0] == f"https://example.org/owner/name/raw/{head}/{edited_there}"


def posted(checkout: Checkout, folder: Path) -> str:
    """Return what the workflow posts: its own steps, with a `gh` that keeps the comment."""
    (folder / "bin").mkdir()
    gh = folder / "bin/gh"
    gh.write_text('#!/bin/bash\ncp "${@: -1}" ../posted\n', encoding="utf-8")
    gh.chmod(0o755)
    text = (checkout.root / ".github/workflows/comment.yaml").read_text("utf-8")
    steps = [step["run"] for step in yaml.safe_load(text)["jobs"]["comment"]["steps"][2:]]
    install, *rest = steps
    assert install.startswith("pip install")
    variables = (
        "GITHUB_SERVER_URL=https://example.org",
        "GITHUB_REPOSITORY=owner/name",
        "NUMBER=1",
    )
    path = f"PATH={folder / 'bin'}{os.pathsep}{checkout.environment['PATH']}"
    for step in rest:
        checkout.run("env", path, *variables, "bash", "-e", "-c", step)
    return (folder / "posted").read_text("utf-8")


# Something has changed


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("study/training/trainer.py", each("train")),
        ("study/evaluation/metrics.py", [*each("evaluate"), "claims", "report", "page"]),
        ("study/networks/receptive_field.py", [*each("summarize"), "report", "page"]),
        ("study/reporting/figures.py", ["report"]),
        ("claims.yaml", ["claims"]),
        ("requirements.lock", ["recipes"]),
        (
            f"models/{OVERRIDDEN}.py",
            [*(f"{s}@{OVERRIDDEN}" for s in ("summarize", "train", "evaluate")), "page"],
        ),
        ("study/page/site/styles/1_base.css", ["page"]),
    ],
    ids=lambda value: Path(value).stem if isinstance(value, str) else "",
)
def test_edit_makes_stages_due(edited: Checkout, file: str, stages: list[str]) -> None:
    edited.append_comment(file)
    assert edited.due() == sorted(stages)


@pytest.mark.slow
def test_edit_to_figures_reruns_report_only(checkout: Checkout) -> None:
    checkout.append_comment("study/reporting/figures.py")
    assert stages_run(checkout.run("dvc", "repro")) == ["report"]
    assert sorted(checkout.changed()) == ["dvc.lock", "study/reporting/figures.py"]


def test_edit_to_message_trains_nothing(checkout: Checkout) -> None:
    """Error messages, help and descriptions of values, the log's format, signal handlers."""
    checkout.append_comment(
        "study/base/errors.py",
        "study/base/checks.py",
        "stages/command.py",
        "stages/progress.py",
        "stages/lifetime.py",
        "study/recipes/recipe.py",
    )
    assert stages_run(checkout.run("dvc", "repro")) == ["recipes"]
    assert checkout.due() == []


def test_another_torch_version_makes_trainings_due(checkout: Checkout, tmp_path: Path) -> None:
    fake = tmp_path / "torch-0.0.1.dist-info/METADATA"
    fake.parent.mkdir()
    fake.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.1\n", encoding="utf-8")
    checkout.run("env", f"PYTHONPATH={tmp_path}", "dvc", "repro", "--force", "recipes")
    assert checkout.due() == sorted(["page", *each("train"), *each("evaluate")])
    for model in MODELS:
        recipe = yaml.safe_load((checkout.root / paths.recipe(model)).read_text("utf-8"))
        assert recipe["versions"]["torch"] == "0.0.1"


def test_train_value_makes_models_without_own_value_due(checkout: Checkout) -> None:
    checkout.set({"train.epochs": 3})
    checkout.run("dvc", "repro", "recipes")
    assert checkout.due() == sorted(["page", *each("train", [PLAIN, VARIANT])])


def test_own_value_makes_one_model_due(checkout: Checkout) -> None:
    """The report and the page are about `models` in params.yaml, so they are due, too."""
    checkout.set({f"models.{OVERRIDDEN}.epochs": 3})
    checkout.run("dvc", "repro", "recipes")
    assert checkout.due() == ["page", "report", f"train@{OVERRIDDEN}"]


@pytest.mark.slow
def test_first_own_value_makes_one_model_due(checkout: Checkout) -> None:
    checkout.run("dvc", "exp", "run", "-S", f"+models.{PLAIN}.epochs=3", "recipes")
    assert checkout.due() == ["page", "report", f"train@{PLAIN}"]


def test_no_validation_images_make_every_model_due(checkout: Checkout) -> None:
    checkout.set({"train.validation_images": 0})
    checkout.run("dvc", "repro", "recipes")
    assert checkout.due() == sorted(["page", *each("train"), *each("evaluate")])


@pytest.mark.slow
def test_own_value_reruns_one_model(checkout: Checkout) -> None:
    """The example of README, with the way back that README names."""
    run, *diff, back = commands("README.md", "Change one thing")
    ran = stages_run(checkout.run(*shlex.split(run)))
    assert set(ran) == {
        "recipes",
        f"train@{OVERRIDDEN}",
        f"evaluate@{OVERRIDDEN}",
        "report",
        "page",
    }
    assert set(metrics_diff(checkout)) == {str(paths.metrics(OVERRIDDEN))}
    for command in diff:
        assert str(paths.metrics(OVERRIDDEN)) in checkout.run("bash", "-c", command)

    epochs = int(run.rpartition("=")[2])
    shown = json.loads(checkout.run("dvc", "params", "diff", "--json"))
    assert shown[str(paths.recipe(OVERRIDDEN))] == {
        "epochs": {"old": 2, "new": epochs, "diff": epochs - 2}
    }
    experiments = table(checkout.run("dvc", "exp", "show", "--csv"))
    column = f"{paths.recipe(OVERRIDDEN)}:epochs"
    assert [row[column] for row in experiments][:2] == [str(epochs), "2"]

    checkout.run("bash", "-c", back)
    assert checkout.changed() == []
    assert stages_run(checkout.run("dvc", "repro")) == []


def commands(document: str, heading: str) -> list[str]:
    """Return the commands in the first console block below a heading."""
    text = (ROOT / document).read_text("utf-8").partition(f"# {heading}\n")[2]
    block = text.partition("```console\n")[2].partition("```")[0]
    lines = (line for line in block.splitlines() if line.startswith("$ "))
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines]


@pytest.mark.slow
def test_train_value_reruns_models_without_own_value(checkout: Checkout) -> None:
    output = checkout.run("dvc", "exp", "run", "-S", "train.epochs=2")
    models = [PLAIN, VARIANT]
    assert stages_run(output) == sorted(
        [
            *("recipes", *each("train", models), *each("evaluate", models)),
            *("candidate", "report", "page"),
        ]
    )
    assert set(metrics_diff(checkout)) == {
        *map(str, map(paths.metrics, models)), str(paths.CANDIDATE)
    }  # fmt: skip


def test_another_candidate_trains_nothing(checkout: Checkout) -> None:
    output = checkout.run("dvc", "exp", "run", "-S", f"candidate={OVERRIDDEN}")
    assert stages_run(output) == ["candidate", "recipes"]
    old, new = metrics(checkout, PLAIN), metrics(checkout, OVERRIDDEN)
    differences = {
        key: {"old": old[key], "new": new[key], "diff": pytest.approx(new[key] - old[key])}
        for key in old
        if new[key] != old[key]
    }
    assert "parameters" in differences
    assert metrics_diff(checkout) == {str(paths.CANDIDATE): differences}


@pytest.mark.fault("a mistake in `dvc exp run -S`", "one line; nothing runs, nothing is deleted")
def test_mistake_in_params_deletes_nothing(checkout: Checkout) -> None:
    before = checkout.outputs()
    # Of another length than the value before: DVC leaves Git in the belief that a file is unchanged
    # if a value is replaced by one of the same length within a second.
    status, output = checkout.attempt("dvc", "exp", "run", "-S", "train.dropout=1.25")
    assert status != 0
    assert stages_run(output) == ["recipes"]
    assert "Traceback" not in output
    (line,) = re.findall("^error: .*", output, re.MULTILINE)
    assert all(part in line for part in ("params.yaml", "train.dropout", "0.99", "1.25"))
    after = checkout.outputs() | {str(paths.VALIDATED): before[str(paths.VALIDATED)]}
    assert after == before

    checkout.run("git", "restore", "params.yaml")
    assert stages_run(checkout.run("dvc", "repro")) in ([], ["recipes"])
    assert checkout.outputs() == before


# A model more, a model less


@dataclass
class Exchange:
    """The study before and after an edit that adds model_7 and removes VARIANT."""

    ran: list[str]
    before: dict[str, bytes]
    after: dict[str, bytes]
    accuracy: dict[str, list[float]]
    loss: dict[str, list[float]]
    due: list[str]


@pytest.fixture(scope="module")
def exchange(reproduced: tuple[Checkout, str]) -> Exchange:
    """Each edit is a file in models/ and a line in params.yaml."""
    checkout, _ = reproduced
    root, before = checkout.root, checkout.outputs()
    source = (root / f"models/{PLAIN}.py").read_text("utf-8")
    (root / "models/model_7.py").write_text(source, encoding="utf-8")
    (root / f"models/{VARIANT}.py").unlink()
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    del params["models"][VARIANT]
    params["models"]["model_7"] = {}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    ran = stages_run(checkout.run("dvc", "repro"))
    exchanged = Exchange(ran, before, checkout.outputs(), *plotted(checkout), checkout.due())
    checkout.restore()
    checkout.restore_outputs()
    return exchanged


def test_added_model_is_trained_reported_and_plotted(exchange: Exchange) -> None:
    stages = [f"{stage}@model_7" for stage in ("summarize", "train", "evaluate")]
    assert exchange.ran == sorted(["recipes", *stages, "report", "page"])
    assert exchange.after.keys() - exchange.before.keys() == set(outputs_of("model_7"))
    assert "# Model 7\n" in exchange.after[str(paths.REPORT)].decode()
    assert '"title":"Model 7"' in exchange.after[str(paths.PAGE)].decode()
    assert list(exchange.accuracy) == list(exchange.loss) == [PLAIN, OVERRIDDEN, "model_7"]
    # Its file is that of the other one, and so is its recipe.
    assert exchange.accuracy["model_7"] == exchange.accuracy[PLAIN]


def test_removed_model_disappears(exchange: Exchange) -> None:
    assert exchange.before.keys() - exchange.after.keys() == set(outputs_of(VARIANT))
    assert "# Model 4 pooled first\n" not in exchange.after[str(paths.REPORT)].decode()
    assert exchange.due == []


def test_other_models_stay_as_they_are(exchange: Exchange) -> None:
    for model in (PLAIN, OVERRIDDEN):
        for name in outputs_of(model):
            assert exchange.after[name] == exchange.before[name]


def outputs_of(model: str) -> list[str]:
    files = (
        paths.recipe,
        paths.weights,
        paths.history,
        paths.metrics,
        paths.confusion,
        paths.predictions,
        paths.summary,
        paths.receptive_field,
    )
    return [str(file(model)) for file in files]


# What DVC shows


def test_metrics_show_has_a_row_for_each_model(edited: Checkout) -> None:
    header, *rows = (line.split() for line in edited.run("dvc", "metrics", "show").splitlines())
    shown = {path: dict(zip(header[1:], values, strict=True)) for path, *values in rows}
    assert shown.keys() == {*map(str, map(paths.metrics, MODELS)), str(paths.CANDIDATE)}
    for model in MODELS:
        values = {key: str(value) for key, value in metrics(edited, model).items()}
        assert shown[str(paths.metrics(model))] == values


def test_plots_show_draws_each_model(edited: Checkout) -> None:
    accuracy, loss = plotted(edited)
    for curves in (accuracy, loss):
        assert list(curves) == list(MODELS)
        assert list(map(len, curves.values())) == [1, 2, 1]  # epochs
    assert accuracy[OVERRIDDEN][-1] == metrics(edited, OVERRIDDEN)["accuracy"]
    page = (edited.root / "dvc_plots/index.html").read_text("utf-8")
    assert all(f'"{model}: test images"' in page for model in MODELS)
    assert edited.changed() == []


def plotted(
    checkout: Checkout,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the lines that `dvc plots show` draws for test accuracy and for loss, by model."""
    checkout.run("dvc", "plots", "show")
    page = (checkout.root / "dvc_plots/index.html").read_text("utf-8")
    specs = map(json.loads, re.findall(r"var spec = (\{.*?\});\n", page, re.DOTALL))
    drawn = {spec["title"]["text"]: spec for spec in specs}
    return lines(drawn["Test accuracy"]), lines(drawn["Test loss"])


def lines(spec: Any) -> dict[str, list[float]]:
    """Return the values that a Vega-Lite specification draws, by the model that colors them."""
    assert spec["encoding"]["color"]["field"] == "model"
    assert "transform" not in spec
    found: dict[str, list[float]] = {}
    for point in spec["data"]["values"]:
        found.setdefault(point["model"], []).append(float(point[point["field"]]))
    return found


def test_validation_images_replace_test_images(edited: Checkout) -> None:
    assert all(metrics(edited, m)["validation_images"] == VALIDATION_IMAGES for m in MODELS)
    predictions = table((edited.root / paths.predictions(PLAIN)).read_text("utf-8"))
    assert len(predictions) == VALIDATION_IMAGES
    log = (edited.root / paths.log(PLAIN)).read_text("utf-8")
    assert re.search(rf"Validation set: .*/{VALIDATION_IMAGES} ", log)


# Ended early


@pytest.mark.slow
def test_ctrl_c_ends_everything(checkout: Checkout) -> None:
    checkout.set({"train.epochs": 1000, f"models.{OVERRIDDEN}.epochs": 1000})
    before = recorded(checkout)
    with checkout.start("make", "VENV=", "JOBS=2", "repro") as make:
        assert make.stdout is not None
        training: set[str] = set()
        for line in make.stdout:
            training |= set(re.findall(r"^(\w+) \| .* \| Validation set: ", line))
            if len(training) == 2:
                break
        os.killpg(make.pid, signal.SIGINT)
        try:
            output, _ = make.communicate(timeout=60)
            with pytest.raises(ProcessLookupError):
                os.killpg(make.pid, 0)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGKILL)
    assert make.returncode != 0
    assert "Traceback" not in output

    # The outputs of these two are gone, those of the third are whole; DVC knows which are which.
    status = json.loads(checkout.run("dvc", "status", "--json", *each("train")))
    for model in MODELS:
        outputs = [str(paths.weights(model)), str(paths.history(model))]
        gone = {"changed outs": dict.fromkeys(outputs, "deleted")}
        assert (gone in status[f"train@{model}"]) is (model in training)
        assert all((checkout.root / o).exists() is (model not in training) for o in outputs)
    assert not list(checkout.root.glob("**/.*.safetensors"))
    assert recorded(checkout) == before


def recorded(checkout: Checkout) -> dict[str, Any]:
    """Return what DVC has recorded of each training: the sums of its dependencies and outputs."""
    lock = yaml.safe_load((checkout.root / "dvc.lock").read_text("utf-8"))
    return {stage: lock["stages"][stage] for stage in each("train")}


# Many experiments


@pytest.mark.slow
def test_queued_experiments_succeed(checkout: Checkout) -> None:
    values = f"candidate={OVERRIDDEN},{VARIANT}"
    queued = checkout.run("dvc", "exp", "run", "--queue", "-S", values)
    names = re.findall(r"Queued experiment '(.+)'", queued)
    assert len(names) == 2
    start = ("dvc", "queue", "start", "--jobs", "2")
    checkout.run(*start)
    try:
        deadline = time.monotonic() + 600
        # One that is taken up while DVC looks is neither queued nor running.
        while not set(names) <= finished(status := checkout.run("dvc", "queue", "status")):
            assert time.monotonic() < deadline, status
            # DVC's workers can stop before the queue is empty (treeverse/dvc issue 10562);
            # docs/experiments.md says what to do then.
            if "Queued" in status and "0 active, 0 idle" in status:
                checkout.run(*start)
            time.sleep(5)
    finally:
        checkout.run("dvc", "queue", "stop", "--kill")
    assert checkout.changed() == []

    rows = {row["Experiment"]: row for row in table(checkout.run("dvc", "exp", "show", "--csv"))}
    for name, model in zip(names, (OVERRIDDEN, VARIANT), strict=True):
        assert rows[name]["candidate"] == model
        assert set(metrics_diff(checkout, "main", name)) == {str(paths.CANDIDATE)}


def finished(status: str) -> set[str]:
    """Return the experiments that have ended, according to `dvc queue status`."""
    return set(re.findall(r"(?m)^\w{7} +(\S+) .* (?:Success|Failed) *$", status))
