"""Each stage as `python -m` runs it: --help, one line for a user's mistake, and signals."""

import errno
import importlib
import os
import re
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import models
from stages import command, lifetime, paths, recipes, train
from study.base.errors import UserError
from study.recipes import recipe_file
from tests.checkout import ROOT
from tests.recipes import recipe, untrained

STAGES = sorted(yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"])
ON_ONE_MODEL = ("candidate", "evaluate", "summarize", "train")


@pytest.fixture(autouse=True)
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, and the signal handlers of the tests in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESUME", raising=False)
    before = {number: signal.getsignal(number) for number in lifetime.SIGNALS}
    for number in lifetime.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


Stage = Callable[..., object]
"""Runs a stage with arguments, and returns the status with which it exits."""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    def run(name: str, *arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.delitem(sys.modules, f"stages.{name}", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)
        return ended.value.code

    return run


def line(status: object) -> str:
    """Return the message of a failed stage. Python prints it to stderr, and exits with 1."""
    assert isinstance(status, str)
    assert status.startswith("error: ")
    assert status.isprintable()
    return status.removeprefix("error: ")


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


# Arguments


@pytest.mark.parametrize("name", STAGES)
def test_help_describes_stage_and_arguments_and_runs_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert stage(name, "--help") == 0
    shown = capsys.readouterr().out
    first_line = (importlib.import_module(f"stages.{name}").__doc__ or "").partition("\n")[0]
    assert first_line in " ".join(shown.split())
    # After its name, or on the line below, each argument has a text.
    arguments = re.findall(r"(?m)^  (\S.*(?:\n {3,}\S.*)*)", shown)
    assert len(arguments) == (2 if name in ON_ONE_MODEL else 1)
    for argument in arguments:
        assert re.search(r"\s{2,}\w+ \w+", argument), argument
    assert files() == []


@pytest.mark.parametrize("name", ON_ONE_MODEL)
def test_unknown_model_is_named_with_the_known_ones(stage: Stage, name: str) -> None:
    message = line(stage(name, "model_9"))
    assert all(model in message for model in ("model_9", *models.names()))
    assert files() == []


@pytest.mark.parametrize("name", ["report", "train"])
def test_superfluous_argument_is_named(stage: Stage, name: str) -> None:
    model = ["model_1"] if name in ON_ONE_MODEL else []
    assert "--steps" in line(stage(name, *model, "--steps"))
    assert files() == []


@pytest.mark.parametrize("name", ON_ONE_MODEL)
def test_missing_model_is_named(stage: Stage, name: str) -> None:
    assert "model" in line(stage(name))


# Mistakes in the environment and in files. The rooms of study/ test each kind of damage.


@pytest.fixture
def inputs(mnist_folder: Path) -> None:
    """The recipe of Model 1, with 600 images, and the raw data."""
    put_recipe(train_images=600)
    paths.MNIST.mkdir(parents=True)
    for path in mnist_folder.iterdir():
        (paths.MNIST / path.name).symlink_to(path)


def put_recipe(model: str = "model_1", **values: object) -> None:
    path = paths.recipe(model)
    path.parent.mkdir(exist_ok=True)
    path.write_text(recipe_file.to_yaml(recipe(**values), recipe_file.versions()))


@pytest.mark.usefixtures("inputs")
def test_train_leaves_out_the_validation_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 of 60,000 images remain: two batches."""
    put_recipe("model_3", epochs=1, batch_size=64, validation_images=59_900)
    monkeypatch.setattr(sys, "argv", ["train", "model_3"])
    train.main()
    assert "Batch_id=1 " in paths.log("model_3").read_text("utf-8")


@pytest.mark.fault("RESUME with another value than 1", "one line; nothing is trained")
@pytest.mark.parametrize("value", ["0", "yes", "1 "])
@pytest.mark.usefixtures("inputs")
def test_train_names_a_mistyped_resume(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("RESUME", value)
    message = line(stage("train", "model_1"))
    assert message.startswith("RESUME ")
    assert message.endswith(value.strip())
    assert not any(name.startswith(("logs", "weights")) for name in files())


@pytest.mark.fault("a GPU requested but absent", "one line; nothing is trained")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.usefixtures("inputs")
def test_train_names_a_missing_gpu(stage: Stage) -> None:
    put_recipe(device="cuda")
    message = line(stage("train", "model_1"))
    assert all(part in message for part in ("device", "cpu", "NVIDIA", "cuda"))
    assert not any(name.startswith(("logs", "weights")) for name in files())


@pytest.mark.fault("a damaged raw file", "detected and named with its checksum, before use")
@pytest.mark.usefixtures("inputs")
def test_train_names_a_damaged_raw_file(stage: Stage) -> None:
    damaged = paths.MNIST / "train-labels-idx1-ubyte"
    damaged.unlink()
    damaged.write_bytes(b"")
    message = line(stage("train", "model_1"))
    assert message.startswith(f"{damaged}: ")
    assert "SHA-256" in message
    assert not any(name.startswith(("logs", "weights")) for name in files())


@pytest.mark.fault(
    "a test loss that becomes nan (learning rate 100)",
    "one line, as for the training's loss; no weights, no checkpoint",
)
@pytest.mark.usefixtures("inputs")
def test_train_stops_when_the_test_loss_diverges(stage: Stage) -> None:
    put_recipe("model_3", learning_rate=100, train_images=600, epochs=2)
    message = line(stage("train", "model_3"))
    assert all(part in message for part in ("nan", "epoch 0", "learning_rate", "100"))
    (log,) = Path("logs").iterdir()
    trained, tested = log.read_text("utf-8").splitlines()[-2:]
    assert ("nan" in trained, "nan" in tested) == (False, True)
    assert not any(name.startswith(("weights", "checkpoints")) for name in files())


def test_train_names_a_missing_recipe(stage: Stage) -> None:
    message = line(stage("train", "model_1"))
    assert message.startswith(f"{paths.recipe('model_1')}: ")
    assert f"`git restore {paths.recipe('model_1')}`" in message


@pytest.mark.fault("weights missing, cut off, or of another model", "detected and named before use")
@pytest.mark.parametrize("damage", ["missing", "cut off", "of another model"])
@pytest.mark.usefixtures("inputs")
def test_evaluate_names_damaged_weights(stage: Stage, damage: str) -> None:
    path = paths.weights("model_1")
    path.parent.mkdir()
    other = "model_2" if damage == "of another model" else "model_1"
    weights = untrained(other)
    if damage != "missing":
        path.write_bytes(weights[:-1] if damage == "cut off" else weights)
    message = line(stage("evaluate", "model_1"))
    assert message.startswith(f"{path}: ")
    assert "`dvc repro --force train@model_1`" in message
    assert not any(name.startswith(("metrics", "predictions")) for name in files())


def test_candidate_names_missing_metrics(stage: Stage) -> None:
    path = paths.metrics("model_2")
    message = line(stage("candidate", "model_2"))
    assert message.startswith(f"{path}: {os.strerror(errno.ENOENT)}")
    assert "`dvc repro`" in message
    assert f"`git restore {path}`" in message


@pytest.mark.fault("a mistake in params.yaml", "one line; nothing is written")
def test_recipes_writes_nothing_for_a_mistake(stage: Stage) -> None:
    text = (ROOT / paths.PARAMS).read_text("utf-8").replace("dropout: 0.1", "dropout: 1.5", 1)
    paths.PARAMS.write_text(text, encoding="utf-8")
    message = line(stage("recipes"))
    assert all(part in message for part in ("params.yaml", "train.dropout", "0.99", "1.5"))
    assert files() == [str(paths.PARAMS)]


def test_recipes_removes_the_outputs_of_models_that_are_gone_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipes"])
    paths.PARAMS.write_text((ROOT / paths.PARAMS).read_text("utf-8"), encoding="utf-8")
    kept = [paths.weights("model_1"), Path("weights/.gitignore"), Path("metrics/models/notes.md")]
    gone = [paths.weights("gone"), paths.receptive_field("gone"), paths.metrics("gone")]
    for path in (*kept, *gone, paths.weights("a_folder") / "of_mine.safetensors"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    recipes.main()
    assert all(path.exists() for path in kept)
    assert paths.weights("a_folder").is_dir()
    assert not any(path.exists() for path in gone)


# What a stage raises


def run(main: Callable[[], None]) -> object:
    """Run a stage in this process; return the status with which it exits."""
    with pytest.raises(SystemExit) as ended:
        command.run(main)
    return ended.value.code


def raises(error: Exception) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def test_mistake_ends_in_one_line() -> None:
    assert line(run(raises(UserError("params.yaml: seed is missing")))) == (
        "params.yaml: seed is missing"
    )


@pytest.mark.fault("a file that is missing or not accessible", "one line with its path")
@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOSPC])
def test_operating_system_error_names_the_file(number: int) -> None:
    message = line(run(raises(OSError(number, os.strerror(number), "folder/file"))))
    assert message.startswith(f"folder/file: {os.strerror(number)}; ")


def test_full_disk_needs_no_file_to_be_reported() -> None:
    message = line(run(raises(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))))
    assert message.startswith(os.strerror(errno.ENOSPC))


@pytest.mark.fault("not enough memory for a recipe", "one line")
@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_lack_of_memory_names_a_remedy(allocate: Callable[[int], object]) -> None:
    assert "batch_size" in line(run(lambda: print(allocate(2**55))))


def test_lack_of_memory_on_a_gpu_names_a_remedy() -> None:
    error = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert "batch_size" in line(run(raises(error)))


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.EPIPE, "Broken pipe"), KeyError("x")]
)
def test_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        command.run(raises(error))
    assert raised.value is error


# Signals


@pytest.mark.parametrize("number", lifetime.SIGNALS)
def test_signal_ends_a_stage_with_the_status_of_a_shell(number: int) -> None:
    cleaned_up = False

    def main() -> None:
        nonlocal cleaned_up
        try:
            signal.raise_signal(number)
        finally:
            cleaned_up = True

    assert run(main) == 128 + number
    assert cleaned_up


@pytest.mark.parametrize("number", lifetime.SIGNALS)
def test_ignored_signal_stays_ignored(number: int) -> None:
    """A shell's background job ignores Ctrl-C, and nohup the end of the terminal."""
    signal.signal(number, signal.SIG_IGN)
    command.run(lambda: signal.raise_signal(number))
    assert signal.getsignal(number) == signal.SIG_IGN


def test_signal_in_a_kernel_leaves_no_traceback() -> None:
    """Python makes a SystemError of an exception that compiled code has not noticed."""

    def main() -> None:
        try:
            raise SystemError("_numba_unpickle returned a result with an exception set") from (
                SystemExit(143)
            )
        except SystemError as error:
            raise SystemError("a kernel returned a result with an exception set") from error

    assert run(main) == 143
    with pytest.raises(SystemError):
        command.run(raises(SystemError("a defect")))


@pytest.mark.parametrize("ends_well", [True, False])
def test_signal_after_a_stage_ends_python_at_once(ends_well: bool) -> None:
    """While Python shuts down, an exception would be lost, and DVC would go on."""
    if ends_well:
        command.run(lambda: None)
    else:
        run(lambda: signal.raise_signal(signal.SIGTERM))
    assert {signal.getsignal(number) for number in lifetime.SIGNALS} == {signal.SIG_DFL}
