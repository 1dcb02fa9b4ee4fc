from pathlib import Path

import pytest
import torch

from study.base.errors import UserError
from study.data import mnist
from study.recipes.recipe import Recipe
from study.training import sgd
from study.training.checkpoint import Checkpoint
from study.training.history import Epoch
from tests.recipes import recipe

MODEL = "model_4"
# All that is kept from step to step: momentum, a rate that goes up and down, an average.
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


def trainer(folder: Path, chosen: Recipe = RECIPE, model: str = MODEL) -> sgd.Trainer:
    network = sgd.initialise(model, chosen)
    return sgd.Trainer(network, mnist.read(folder, "train", chosen.train_images), chosen)


def tensors(of: sgd.Trainer) -> list[torch.Tensor]:
    momentum = [state["momentum_buffer"] for state in of.optimizer.state.values()]
    return [*of.network.state_dict().values(), *of.result.state_dict().values(), *momentum]


def equal(one: sgd.Trainer, other: sgd.Trainer) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(this, that) for this, that in pairs)


@pytest.fixture
def saved(mnist_folder: Path, tmp_path: Path) -> Path:
    """What a training leaves that is ended in its third epoch."""
    ended = trainer(mnist_folder)
    ended.train(0)
    ended.train(1)
    path = tmp_path / "model.pt"
    Checkpoint(path, MODEL, RECIPE).save(ended, DONE)
    return path


def test_a_training_that_goes_on_ends_with_the_same_bytes(mnist_folder: Path, saved: Path) -> None:
    undisturbed = trainer(mnist_folder)
    expected = [undisturbed.train(epoch) for epoch in range(3)]
    resumed = trainer(mnist_folder)
    assert Checkpoint(saved, MODEL, RECIPE).load(resumed) == DONE
    assert not equal(resumed, undisturbed)
    assert resumed.train(2) == expected[2]
    assert equal(resumed, undisturbed)


def test_without_a_file_it_begins(mnist_folder: Path, tmp_path: Path) -> None:
    untouched, begun = trainer(mnist_folder), trainer(mnist_folder)
    assert Checkpoint(tmp_path / "model.pt", MODEL, RECIPE).load(begun) == []
    assert equal(begun, untouched)


@pytest.mark.parametrize("key", Recipe.model_fields)
def test_another_recipe_begins(mnist_folder: Path, saved: Path, key: str) -> None:
    other = {
        "scheduler": "constant",
        "interpolation": "bilinear",
        "device": "cuda",
        "train_images": 99,
        "epochs": 4,
        "batch_size": 31,
        "seed": 2,
        "validation_images": 1,
    }
    changed = RECIPE.model_copy(update={key: other.get(key, 0.25)})
    untouched, begun = trainer(mnist_folder), trainer(mnist_folder)
    assert Checkpoint(saved, MODEL, changed).load(begun) == []
    assert equal(begun, untouched)


def test_another_model_begins(mnist_folder: Path, saved: Path) -> None:
    begun = trainer(mnist_folder, model="model_2")
    assert Checkpoint(saved, "model_2", RECIPE).load(begun) == []


def test_other_code_begins(
    mnist_folder: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/kernels.py").write_text("# another one\n", encoding="utf-8")
    monkeypatch.setattr("study.checkpoint.ROOT", tmp_path)
    assert Checkpoint(saved, MODEL, RECIPE).load(trainer(mnist_folder)) == []


@pytest.mark.fault("a flipped byte in a checkpoint, or its end cut off", "named, and the way back")
@pytest.mark.parametrize("place", [0, 40, 5000, -1, "cut"])
def test_a_damaged_one_is_named(mnist_folder: Path, saved: Path, place: int | str) -> None:
    content = bytearray(saved.read_bytes())
    if isinstance(place, int):
        content[place] ^= 1
    else:
        del content[-100:]
    saved.write_bytes(content)
    begun, untouched = trainer(mnist_folder), trainer(mnist_folder)
    with pytest.raises(UserError, match=r"model\.pt: truncated or altered; remove it, and"):
        Checkpoint(saved, MODEL, RECIPE).load(begun)
    assert equal(begun, untouched)
