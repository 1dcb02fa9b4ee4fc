"""The GPU's trainer, as far as it goes without one: the same work, step by step on the CPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from study.base.errors import UserError
from study.data import mnist
from study.evaluation import evaluator
from study.recipes.recipe import Recipe
from study.training import augmentation, cuda, sgd
from tests.recipes import recipe

RECIPE = recipe(epochs=1, batch_size=64, rotation=7, train_images=600, ema_decay=0.2, device="cuda")
GPU = torch.cuda.is_available()


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    with torch.random.fork_rng():
        yield
    torch.use_deterministic_algorithms(False)


def trainer(folder: Path, recipe: Recipe, on: str) -> cuda.Trainer:
    network = sgd.initialise("model_2", recipe)
    data = mnist.read(folder, "train", recipe.train_images)
    return cuda.Trainer(network, data, recipe, torch.device(on))


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(mnist_folder: Path) -> None:
    with pytest.raises(UserError, match=r"train\.device = cuda: torch finds no NVIDIA GPU here"):
        cuda.Trainer(sgd.initialise("model_2", RECIPE), mnist.read(mnist_folder, "test"), RECIPE)


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
    still = recipe(learning_rate=1e-30, dropout=0, batch_size=70, train_images=600)
    data = mnist.read(mnist_folder, "train", still.train_images)
    network = sgd.initialise("model_1", still)
    expected = evaluator.evaluate(network, *data)
    said = cuda.Trainer(network, data, still, torch.device(on)).train(0)
    assert said.loss == pytest.approx(expected.loss, rel=1e-4)
    assert said.accuracy == pytest.approx(expected.accuracy, abs=0.2)


def test_divergence_is_named(mnist_folder: Path) -> None:
    fast = RECIPE.model_copy(update={"learning_rate": 1e9})
    with pytest.raises(UserError, match=r"diverged.* epoch 0; learning_rate = 1000000000.0"):
        trainer(mnist_folder, fast, "cpu").train(0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_it_changes_images_as_the_cpu_does(
    mnist_folder: Path, monkeypatch: pytest.MonkeyPatch, interpolation: str
) -> None:
    """With the same numbers drawn, whatever is drawn first."""
    images, _ = mnist.read(mnist_folder, "train", 50)
    ranges = recipe(rotation=10, translation=2, scaling=0.1, elastic=3, interpolation=interpolation)
    generator = np.random.default_rng(1)
    amounts = {
        "rotation": generator.uniform(-10, 10, 50),
        "translation": generator.uniform(-2, 2, (50, 2)),
        "scaling": generator.uniform(-0.1, 0.1, 50),
        "elastic": generator.uniform(-3, 3, (50, 2, 7, 7)),
    }
    fixed = {purpose: Fixed(numbers) for purpose, numbers in amounts.items()}
    expected = augmentation.augment(images, ranges, 0.5, cast(Any, fixed))

    def draw(tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
        (numbers,) = (
            amounts[key] for key in amounts if getattr(ranges, key) == high and low == -high
        )
        return tensor.copy_(torch.from_numpy(numbers))

    monkeypatch.setattr(torch.Tensor, "uniform_", draw)
    changed = cuda.augment(evaluator.normalise(images), ranges, torch.tensor(0.5))
    apart = (changed - evaluator.normalise(expected)).abs()
    # The CPU rounds means to whole numbers; of two nearest neighbours, either may be taken.
    rounding = {"nearest": 0, "bilinear": 0.5 / 255 / evaluator.STANDARD_DEVIATION}
    assert (apart > rounding[interpolation] + 1e-3).float().mean() < 0.002


class Fixed:
    """A generator whose numbers are known."""

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self.numbers = numbers

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        assert self.numbers.shape == shape
        assert low <= self.numbers.min() <= self.numbers.max() <= high
        return self.numbers


def test_its_rate_is_the_cpu_s(mnist_folder: Path) -> None:
    """One cycle, on the card's tensor that a captured graph reads."""
    cycle = recipe(
        epochs=2,
        batch_size=64,
        learning_rate=0.1,
        train_images=600,
        scheduler="one_cycle",
        warmup_fraction=0.2,
    )
    run = trainer(mnist_folder, cycle, "cpu")
    network = sgd.initialise("model_2", cycle)
    usual = sgd.Trainer(network, mnist.read(mnist_folder, "train", 600), cycle)
    for epoch in range(2):
        run.train(epoch)
        usual.train(epoch)
        for group, expected in zip(
            run.optimizer.param_groups, usual.optimizer.param_groups, strict=True
        ):
            assert isinstance(group["lr"], torch.Tensor)
            assert float(group["lr"]) == pytest.approx(expected["lr"], rel=1e-6)
