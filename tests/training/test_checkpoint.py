import shutil
from pathlib import Path

import numpy as np
import pytest

from study.base.errors import UserError
from study.data import mnist
from study.training import checkpoint
from study.training.checkpoint import Checkpoint
from study.training.engine_trainer import EngineTrainer
from study.training.history import Epoch
from study.training.pytorch_trainer import PyTorchTrainer
from study.training.trainer import Trainer, initialize
from tests.checkout import ROOT
from tests.recipes import recipe

MODEL = "model_4"
# With all that is kept from step to step: momentum, learning rate and moving average.
RECIPE = recipe(
    epochs=3,
    batch_size=32,
    scheduler="one_cycle",
    warmup_fraction=0.3,
    ema_decay=0.9,
    weight_decay=0.001,
    rotation=7,
    augmentation_anneal=0.5,
    train_images=100,
)
DONE = [Epoch(0, 1.25, 60.1, 1 / 3, 0.7, 80.0), Epoch(1, 0.1 + 0.2, 90.0, 0.2, 0.1, 97.31)]


def trainer(folder: Path, kind: type[EngineTrainer | PyTorchTrainer] = EngineTrainer) -> Trainer:
    network = initialize(MODEL, RECIPE)
    return kind(network, mnist.read_training_set(folder, RECIPE.train_images), RECIPE)


def equal(one: Trainer, other: Trainer) -> bool:
    pairs = zip(one.state().values(), other.state().values(), strict=True)
    return all(np.array_equal(this, that) for this, that in pairs)


@pytest.fixture(params=[EngineTrainer, PyTorchTrainer])
def kind(request: pytest.FixtureRequest) -> type[EngineTrainer | PyTorchTrainer]:
    kind: type[EngineTrainer | PyTorchTrainer] = request.param
    return kind


@pytest.fixture
def saved(mnist_folder: Path, tmp_path: Path) -> Path:
    """The checkpoint of a training that was stopped in its third epoch."""
    return save(trainer(mnist_folder), tmp_path)


def save(ended: Trainer, folder: Path) -> Path:
    ended.train(0)
    ended.train(1)
    path = folder / "model.npz"
    Checkpoint(path, MODEL, RECIPE).save(ended, DONE)
    return path


def test_resumed_training_ends_with_the_same_bytes(
    mnist_folder: Path, tmp_path: Path, kind: type[EngineTrainer | PyTorchTrainer]
) -> None:
    undisturbed, resumed = trainer(mnist_folder, kind), trainer(mnist_folder, kind)
    expected = [undisturbed.train(epoch) for epoch in range(3)]
    saved = save(trainer(mnist_folder, kind), tmp_path)
    assert Checkpoint(saved, MODEL, RECIPE).load(resumed) == DONE
    assert not equal(resumed, undisturbed)
    assert resumed.train(2) == expected[2]
    assert equal(resumed, undisturbed)


def test_load_without_a_file_keeps_the_trainer(mnist_folder: Path, tmp_path: Path) -> None:
    untouched, begun = trainer(mnist_folder), trainer(mnist_folder)
    assert Checkpoint(tmp_path / "model.npz", MODEL, RECIPE).load(begun) == []
    assert equal(begun, untouched)


@pytest.mark.parametrize("values", [{"seed": 2}, {"dropout": 0.25}, {"validation_images": 1}])
def test_load_ignores_a_checkpoint_with_another_recipe(
    mnist_folder: Path, saved: Path, values: dict[str, object]
) -> None:
    other = RECIPE.model_copy(update=values)
    untouched, begun = trainer(mnist_folder), trainer(mnist_folder)
    assert Checkpoint(saved, MODEL, other).load(begun) == []
    assert equal(begun, untouched)


def test_key_depends_on_model_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = checkpoint.key(MODEL, RECIPE)
    assert checkpoint.key("model_2", RECIPE) != expected
    monkeypatch.setattr(checkpoint, "versions", lambda: {"torch": "1.0"})
    assert checkpoint.key(MODEL, RECIPE) != expected


@pytest.mark.parametrize("path", ["models/model_1.py", "stages/train.py", "study/engine/direct.py"])
def test_key_depends_on_all_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for folder in checkpoint.CODE:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    expected = checkpoint.key(MODEL, RECIPE)
    monkeypatch.setattr(checkpoint, "ROOT", tmp_path)
    assert checkpoint.key(MODEL, RECIPE) == expected
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert checkpoint.key(MODEL, RECIPE) != expected


@pytest.mark.fault(
    "a flipped byte in a checkpoint, or its end cut off", "reported, with the file and a remedy"
)
@pytest.mark.parametrize("place", [0, 40, 5000, -1, "cut"])
def test_load_rejects_a_damaged_checkpoint(
    mnist_folder: Path, saved: Path, place: int | str
) -> None:
    content = bytearray(saved.read_bytes())
    if isinstance(place, int):
        content[place] ^= 1
    else:
        del content[-100:]
    saved.write_bytes(content)
    begun, untouched = trainer(mnist_folder), trainer(mnist_folder)
    with pytest.raises(UserError, match=rf"{saved}: .*`rm {saved}`"):
        Checkpoint(saved, MODEL, RECIPE).load(begun)
    assert equal(begun, untouched)
