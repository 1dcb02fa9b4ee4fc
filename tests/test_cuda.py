"""The GPU's trainer, as far as it goes without one: the same work, step by step on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from study import augmentation, cuda, evaluation, mnist, training
from study.errors import UserError
from study.recipe import Recipe

RECIPE = Recipe(
    seed=1,
    epochs=1,
    batch_size=64,
    learning_rate=0.01,
    momentum=0.9,
    dropout=0.1,
    rotation=7,
    samples=600,
    device="cuda",
)
GPU = torch.cuda.is_available()


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    with torch.random.fork_rng():
        yield
    torch.use_deterministic_algorithms(False)


def trainer(folder: Path, recipe: Recipe, on: str) -> cuda.Trainer:
    network = training.initialise("model_2", recipe)
    data = mnist.read(folder, "train", recipe.samples)
    return cuda.Trainer(network, data, recipe, torch.device(on))


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(mnist_folder: Path) -> None:
    with pytest.raises(UserError, match=r"train\.device = cuda: torch finds no NVIDIA GPU here"):
        cuda.Trainer(
            training.initialise("model_2", RECIPE), mnist.read(mnist_folder, "test"), RECIPE
        )


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not GPU, reason="no GPU"))]


@pytest.mark.parametrize("on", DEVICES)
def test_it_learns_and_twice_the_same(mnist_folder: Path, on: str) -> None:
    weights = []
    for _ in range(2):
        run = trainer(mnist_folder, RECIPE, on)
        epochs = [run.train(epoch) for epoch in range(4)]
        assert epochs[-1].loss < epochs[0].loss / 2
        assert epochs[-1].accuracy > 80
        assert epochs[0].last_batch == 9
        weights.append([value.cpu() for value in run.network.state_dict().values()])
    for first, second in zip(*weights, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("on", DEVICES)
def test_an_epoch_sees_every_image_once(mnist_folder: Path, on: str) -> None:
    """A rate too small to change anything: the epoch's figures are those of the first weights."""
    recipe = RECIPE.model_copy(
        update={"learning_rate": 1e-30, "dropout": 0.0, "rotation": 0.0, "batch_size": 70}
    )
    data = mnist.read(mnist_folder, "train", recipe.samples)
    network = training.initialise("model_1", recipe)
    expected = evaluation.evaluate(network, *data)
    said = cuda.Trainer(network, data, recipe, torch.device(on)).train(0)
    assert said.loss == pytest.approx(expected.loss, rel=1e-4)
    assert said.accuracy == pytest.approx(expected.accuracy, abs=0.2)


def test_divergence_is_named(mnist_folder: Path) -> None:
    recipe = RECIPE.model_copy(update={"learning_rate": 1e9})
    with pytest.raises(UserError, match=r"diverged.* epoch 0; learning_rate = 1000000000.0"):
        trainer(mnist_folder, recipe, "cpu").train(0)


def test_it_turns_as_the_cpu_does(mnist_folder: Path) -> None:
    images, _ = mnist.read(mnist_folder, "train", 50)
    torch.manual_seed(1)
    turned = cuda.rotate(evaluation.normalise(images), 7)
    torch.manual_seed(1)
    angles = torch.deg2rad(torch.empty(50).uniform_(-7, 7)).double().numpy()
    expected = torch.empty_like(images)
    augmentation.turn(images.numpy(), np.cos(angles), np.sin(angles), expected.numpy())
    differ = (turned - evaluation.normalise(expected)).abs() > 1e-5
    assert differ.float().mean() < 0.002  # a neighbour at almost equal distance may be the other
