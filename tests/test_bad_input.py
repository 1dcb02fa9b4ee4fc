"""A user's mistake gets one line that says what and where, and nothing is trained.

The stages run as commands: in this process, in a folder of their own; the last tests through DVC.
tests/test_recipe.py and tests/test_parameters.py try each value that is not allowed.
"""

import importlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from dvc.repo import Repo

import models
import stages
from stages import command, paths, train, validate
from study.evaluation import evaluator
from tests.checkout import ROOT, Checkout
from tests.recipes import VALUES

NAMES = ", ".join(models.names())
CHOICES = ", ".join(map(repr, models.names()))

Mistake = Callable[..., str]
"""Runs a stage, by its name and its arguments, and returns the one line that it ends in."""


@pytest.fixture
def mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Mistake]:
    monkeypatch.chdir(tmp_path)
    for name in (paths.PARAMETERS, paths.PIPELINE):
        shutil.copy(ROOT / name, name)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(stage: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [stage, *arguments])
        with pytest.raises(SystemExit) as ended:
            command.run(importlib.import_module(f"stages.{stage}").main)
        # What `python -m` does with it: a line on stderr and status 1.
        line = str(ended.value.code)
        assert line.startswith("error: ")
        assert "\n" not in line
        assert capfd.readouterr() == ("", "")
        assert not paths.VALIDATED.exists()
        assert not list(Path().glob("metrics/**/*"))
        assert not Path("logs").exists()
        return line.removeprefix("error: ")

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def recipe(**changed: object) -> list[str]:
    """The options of `python -m stages.train`, as DVC writes them."""
    values = VALUES | {"epochs": 1, "train_images": 600} | changed
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]


# params.yaml


@pytest.mark.fault(
    "a mistake in params.yaml: missing, null, text, nan, inf, negative, boolean, list, out of"
    " range, unknown",
    "one line with the key, the value, what is allowed",
)
@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ("dropout: .*", "dropout: 1.5", "train.dropout = 1.5: give a number, at least 0, at m"),
        ("epochs: .*", "epochs: 0", "train.epochs = 0: give a whole number, at least 1, "),
        ("learning_rate: .*", "learning_rate: abc", "train.learning_rate = abc: give a number"),
        ("learning_rate: .*", "learning_rate: .nan", "train.learning_rate = .nan: give a number"),
        ("learning_rate: .*", "learning_rate: .inf", "train.learning_rate = .inf: give a number"),
        (
            "learning_rate: .*",
            "learning_rate: -1",
            "train.learning_rate = -1: give a number, above",
        ),
        ("momentum: .*", "momentum: true", "train.momentum = true: give a number, at least 0"),
        ("momentum: .*", "momentum:", "train.momentum = '': give a number, at least 0"),
        ("momentum: .*", "momentum: ''", "train.momentum = '': give a number, at least 0"),
        ("momentum: .*", 'momentum: "a\\nb"', "train.momentum = a b: give a number, at least 0"),
        ("momentum: .*", "momentum: " + 99 * "x", f"train.momentum = {59 * 'x'}…: give a number"),
        ("momentum: .*", "", "train.momentum is missing"),
        ("momentum: .*", "momentun: 0.9", "train.momentun = 0.9: no stage reads it; known: "),
        (
            "train_images: .*",
            "train_images: 127",
            "train.batch_size = 128: give at most train_images = 127",
        ),
        ("device: .*", "device: gpu", "train.device = gpu: give cpu or cuda"),
        ("rotation: 7", "rotation: 181", "models.model_4_deeper.rotation = 181: give a number, "),
        ("candidate: .*", "candidate: model_9", f"candidate = model_9: give one of {NAMES}"),
        (
            "candidate: .*",
            "candidate: [model_1]",
            f"candidate = a list or mapping: give one of {NAMES}",
        ),
        ("candidate: .*", "candidate:", f"candidate = '': give one of {NAMES}"),
    ],
)
def test_a_mistake_in_params_yaml(mistake: Mistake, line: str, instead: str, message: str) -> None:
    text = paths.PARAMETERS.read_text("utf-8")
    changed = re.sub(rf"(?m)^( *){line}$", lambda match: match[1] + instead, text, count=1)
    assert changed != text
    paths.PARAMETERS.write_text(changed, encoding="utf-8")
    assert mistake("validate").startswith(f"params.yaml: {message}")


def test_small_numbers_as_dvc_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-S train.learning_rate=1e-5` puts text into params.yaml: YAML's numbers have a point."""
    text = (ROOT / paths.PARAMETERS).read_text("utf-8")
    text = re.sub("learning_rate: .*", "learning_rate: 1e-5", text)
    assert yaml.safe_load(text)["train"]["learning_rate"] == "1e-5"
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / paths.PIPELINE, paths.PIPELINE)
    paths.PARAMETERS.write_text(text, encoding="utf-8")
    validate.main()
    assert paths.VALIDATED.exists()


# Command lines


@pytest.mark.parametrize("stage", ["summarize", "train", "evaluate", "candidate", "report"])
def test_an_unknown_model(mistake: Mistake, stage: str) -> None:
    before = ["0.1"] if stage == "report" else []
    options = recipe() if stage == "train" else []
    line = mistake(stage, *before, "model_9", *options)
    assert re.search(r"invalid choice: 'model_9' \(choose from ", line)
    assert all(name in line for name in models.names())


@pytest.mark.fault("a mistake in a stage's own command", "one line")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dropout": 1.5}, "dropout = 1.5: give a number, at least 0, at most 0.99"),
        ({"epochs": 0}, "epochs = 0: give a whole number, at least 1, at most 1000"),
        ({"learning_rate": "abc"}, "learning_rate = abc: give a number, above 0, at most 1000"),
        ({"train_images": 100}, "batch_size = 128: give at most train_images = 100"),
        ({"device": "gpu"}, "device = gpu: give cpu or cuda"),
        ({"steps": 3}, "unrecognized arguments: --steps 3"),
    ],
)
def test_a_mistake_in_a_recipe(mistake: Mistake, changed: dict[str, object], message: str) -> None:
    assert mistake("train", "model_1", *recipe(**changed)) == message


def test_a_recipe_that_is_not_whole(mistake: Mistake) -> None:
    line = mistake("train", "model_1", "--epochs", "3")
    assert line.startswith("the following arguments are required: --seed, --batch_size")


@pytest.mark.fault("RESUME with another value than 1", "one line; nothing is trained")
@pytest.mark.parametrize("value", ["0", "yes", "1 "])
def test_a_mistyped_resume(
    mistake: Mistake, mnist_folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    paths.MNIST.parent.mkdir()
    paths.MNIST.symlink_to(mnist_folder)
    monkeypatch.setenv("RESUME", value)
    line = mistake("train", "model_1", *recipe())
    assert line == f"RESUME = {value.strip()}: give 1, or leave it out"
    assert not Path("weights").exists()


@pytest.mark.fault("no memory for what a recipe asks for", "one line")
@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_not_enough_memory(
    monkeypatch: pytest.MonkeyPatch, allocate: Callable[[int], object]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        command.run(lambda: print(allocate(2**55)))
    assert str(ended.value.code).startswith("error: not enough memory; give a smaller batch_size")


@pytest.mark.fault("a GPU asked for and absent", "one line")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu(mistake: Mistake, mnist_folder: Path) -> None:
    paths.MNIST.parent.mkdir()
    paths.MNIST.symlink_to(mnist_folder)
    line = mistake("train", "model_1", *recipe(device="cuda"))
    assert line == "train.device = cuda: torch finds no NVIDIA GPU here; give cpu"
    assert not Path("weights").exists()


# Files


def damaged_copy(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    """Put the four raw files where the stages look for them, one of them damaged."""
    paths.MNIST.mkdir(parents=True)
    for path in folder.iterdir():
        (paths.MNIST / path.name).symlink_to(path)
    (paths.MNIST / name).unlink()
    (paths.MNIST / name).write_bytes(damage((folder / name).read_bytes()))


@pytest.mark.fault(
    "a raw file truncated, altered, empty", "named with both sums, before it is used"
)
@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw[:-1] + b"\7", lambda raw: b""],
    ids=["truncated", "altered", "empty"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"])
def test_a_damaged_raw_file(
    mistake: Mistake, mnist_folder: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    damaged_copy(mnist_folder, name, damage)
    line = mistake("train", "model_1", *recipe())
    assert re.match(rf"data/mnist/{name}: SHA-256 is \w+, expected \w+: truncated or altered", line)
    assert "`dvc checkout --force data/mnist`" in line
    assert not Path("weights").exists()


def test_a_missing_raw_file(mistake: Mistake) -> None:
    line = mistake("train", "model_1", *recipe())
    assert line.startswith("data/mnist/train-images-idx3-ubyte: No such file")
    assert "`dvc repro download`" in line


def store_weights(model: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(evaluator.to_safetensors(models.build(model, dropout=0.0)))


def test_weights_of_another_architecture(mistake: Mistake) -> None:
    store_weights("model_1", paths.weights("model_2"))
    line = mistake("evaluate", "model_2", "0")
    assert line.startswith("weights/model_2.safetensors: weights of another architecture than mod")
    assert "`dvc repro --force train@model_2`" in line


@pytest.mark.fault("weights cut off", "named, before they are used")
@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights(mistake: Mistake, size: int) -> None:
    path = paths.weights("model_2")
    store_weights("model_2", path)
    path.write_bytes(path.read_bytes()[:size])
    line = mistake("evaluate", "model_2", "0")
    assert line.startswith("weights/model_2.safetensors: truncated or altered")
    assert "`dvc repro --force train@model_2`" in line


def test_missing_weights(mistake: Mistake) -> None:
    line = mistake("evaluate", "model_2", "0")
    assert line.startswith("weights/model_2.safetensors: no such file; train it again with")


def test_metrics_that_are_not_there(mistake: Mistake) -> None:
    line = mistake("candidate", "model_2")
    name = "metrics/model_2.json"
    mend = f"`dvc repro` makes it, or `git restore {name}` brings it back"
    assert line == f"{name}: No such file or directory; {mend}"


# The wrong Python


def outcome(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("stage", ["validate", "train"])
def test_a_python_without_the_packages(stage: str) -> None:
    # -S leaves out site-packages.
    status, line = outcome("-S", "-m", f"stages.{stage}", "model_1")
    assert status == 1
    assert re.fullmatch(
        rf"{re.escape(sys.executable)} is Python 3\S+ without {', '.join(stages.NEEDED)}: "
        r"run `make repro`, or `pip install -r requirements.lock` .*\n",
        line,
    )


def test_an_older_python() -> None:
    status, line = outcome("-c", "import sys; sys.version_info = (3, 10, 9); import stages")
    assert status == 1
    assert re.fullmatch(r"\S+ is Python 3\S+ older than 3\.11: run `make repro`, or .*\n", line)


# Through DVC


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Checkout:
    """A checkout in which nothing has run."""
    return Checkout.create(tmp_path_factory.mktemp("bad_input"), mnist_folder)


@pytest.fixture
def checkout(fresh: Checkout) -> Iterator[Checkout]:
    yield fresh
    fresh.restore()


@pytest.mark.fault("a mistake in `dvc exp run -S`", "one line; nothing is trained")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.dropout=1.5", "train.dropout = 1.5: give a number, at least 0, at most 0.99"),
        ("train.learning_rate=abc", "train.learning_rate = abc: give a number, above 0, at m"),
        ("candidate=model_9", f"candidate = model_9: give one of {NAMES}"),
    ],
)
def test_an_experiment_with_a_mistake(checkout: Checkout, change: str, message: str) -> None:
    status, output = checkout.attempt("dvc", "exp", "run", "-S", change)
    assert status != 0
    (line,) = re.findall("^error: .*", output, re.MULTILINE)
    assert line.startswith(f"error: params.yaml: {message}")
    assert re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE) == ["validate"]
    assert "Traceback" not in output
    assert not list(checkout.root.glob("weights/*"))
    assert not (checkout.root / "logs").exists()


def test_a_value_that_dvc_misses(checkout: Checkout) -> None:
    """Here DVC itself speaks up, before it runs anything: the commands need the value."""
    text = (checkout.root / paths.PARAMETERS).read_text("utf-8")
    (line,) = re.findall(" *momentum: .*\n", text)
    checkout.edit("params.yaml", line, "")
    status, output = checkout.attempt("dvc", "repro")
    assert status != 0
    assert re.fullmatch("ERROR: .*'dvc.yaml': Could not find 'train.momentum'\n", output)


def test_an_experiment_with_a_small_number(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.run("dvc", "exp", "run", "-S", "train.learning_rate=1e-5", "validate")
    commands = {stage.name: stage.cmd for stage in Repo(str(checkout.root)).index.stages}
    monkeypatch.setattr(sys, "argv", commands["train@model_3"].split()[3:])
    model, recipe = train.arguments()
    assert (model, recipe.learning_rate) == ("model_3", 1e-5)


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "2.5", ""])
def test_jobs_that_are_no_number(checkout: Checkout, jobs: str) -> None:
    """Make itself would run all at once for none."""
    status, output = checkout.attempt("make", "VENV=", f"JOBS={jobs}", "repro")
    assert status != 0
    assert f"error: JOBS = '{jobs}': give a whole number, at least 1\n" in output
    assert "Running stage" not in output


def test_an_unknown_model_to_verify(checkout: Checkout) -> None:
    status, output = checkout.attempt("make", "VENV=", "MODELS=model_3 model_9", "verify")
    assert status != 0
    assert f"error: MODELS = model_9: give some of {NAMES}, or none for all\n" in output
    assert "Traceback" not in output
