"""The GPU's trainer; without a GPU, it takes the same steps on the CPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from study.data import mnist
from study.evaluation import evaluator
from study.networks import inputs
from study.recipes.recipe import Recipe
from study.training import augmentation, cuda_trainer
from study.training.cuda_trainer import CudaTrainer
from study.training.trainer import DivergedError, initialize
from tests.recipes import recipe

RECIPE = recipe(epochs=1, batch_size=64, rotation=7, train_images=600, ema_decay=0.2, device="cuda")
GPU = torch.cuda.is_available()


@pytest.fixture(autouse=True)
def torch_settings() -> Iterator[None]:
    with torch.random.fork_rng():
        yield
    torch.use_deterministic_algorithms(False)


def trainer(folder: Path, recipe: Recipe, on: str) -> CudaTrainer:
    network = initialize("model_2", recipe)
    data = mnist.read_training_set(folder, recipe.train_images)
    return CudaTrainer(network, data, recipe, torch.device(on))


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not GPU, reason="no GPU"))]


@pytest.mark.parametrize("on", DEVICES)
def test_training_learns_and_repeats_itself(mnist_folder: Path, on: str) -> None:
    weights = []
    for _ in range(2):
        run = trainer(mnist_folder, RECIPE, on)
        epochs = [run.train(epoch) for epoch in range(4)]
        assert epochs[-1].loss < epochs[0].loss / 2
        assert epochs[-1].accuracy > 80
        assert epochs[0].last_batch == 9
        weights.append(run.weights().values())
    for first, second in zip(*weights, strict=True):
        assert np.array_equal(first, second)


def test_each_epoch_draws_new_numbers(mnist_folder: Path) -> None:
    """One batch of all images, and a learning rate too small to change a weight."""
    values = {"learning_rate": 1e-30, "batch_size": 600}
    run = trainer(mnist_folder, Recipe.parse(RECIPE.model_dump() | values), "cpu")
    assert run.train(0).loss != run.train(1).loss


@pytest.mark.parametrize("values", [{"ema_decay": 0}, {"rotation": 0}, {"augmentation_anneal": 1}])
def test_values_of_the_recipe_change_the_weights(
    mnist_folder: Path, values: dict[str, object]
) -> None:
    weights = []
    for changes in ({}, values):
        run = trainer(
            mnist_folder, Recipe.parse(RECIPE.model_dump() | {"epochs": 2} | changes), "cpu"
        )
        for epoch in range(2):
            run.train(epoch)
        weights.append(run.weights())
    assert any((one != weights[1][name]).any() for name, one in weights[0].items())


@pytest.mark.parametrize("ema_decay", [0, 0.5])
def test_evaluation_between_epochs_changes_nothing(mnist_folder: Path, ema_decay: float) -> None:
    states = []
    for evaluates in (False, True):
        changed = RECIPE.model_copy(update={"ema_decay": ema_decay})
        run = trainer(mnist_folder, changed, "cpu")
        run.train(0)
        if evaluates:
            run.logits(run.train_set[0][:50])
        run.train(1)
        states.append(run.state())
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name])


@pytest.mark.parametrize("on", DEVICES)
def test_train_stats_equal_an_evaluation_of_unchanged_weights(mnist_folder: Path, on: str) -> None:
    """The learning rate is too small to change a weight."""
    still = recipe(learning_rate=1e-30, dropout=0, batch_size=70, train_images=600)
    data = mnist.read_training_set(mnist_folder, still.train_images)
    trainer = CudaTrainer(initialize("model_1", still), data, still, torch.device(on))
    expected = evaluator.evaluate(trainer.logits(data[0]), data[1])
    stats = trainer.train(0)
    assert stats.loss == pytest.approx(expected.loss, rel=1e-4)
    assert stats.accuracy == pytest.approx(expected.accuracy, abs=0.2)


def test_training_stops_when_the_loss_diverges(mnist_folder: Path) -> None:
    fast = RECIPE.model_copy(update={"learning_rate": 1e9})
    with pytest.raises(DivergedError, match=r"epoch 0.*1000000000\.0"):
        trainer(mnist_folder, fast, "cpu").train(0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_augment_equals_the_cpus(
    mnist_folder: Path, monkeypatch: pytest.MonkeyPatch, interpolation: str
) -> None:
    """With the same random numbers, in any order of drawing."""
    images, _ = mnist.read_training_set(mnist_folder, 50)
    ranges = recipe(rotation=10, translation=2, scaling=0.1, elastic=3, interpolation=interpolation)
    generator = np.random.default_rng(1)
    amounts = {
        "rotation": generator.random(50),
        "translation": generator.random((50, 2)),
        "scaling": generator.random(50),
        "elastic": generator.random((50, 2, 7, 7)),
    }
    fixed = {stream: Fixed(numbers) for stream, numbers in amounts.items()}
    expected = augmentation.augment(images, ranges, 0.5, cast(Any, fixed))

    def draw(tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
        (numbers,) = (
            amounts[key] for key in amounts if getattr(ranges, key) == high and low == -high
        )
        return tensor.copy_(torch.from_numpy(low + (high - low) * numbers))

    monkeypatch.setattr(torch.Tensor, "uniform_", draw)
    before = inputs.normalize(torch.from_numpy(images))
    changed = cuda_trainer.augment(before, ranges, torch.tensor(0.5))
    apart = (changed - inputs.normalize(torch.from_numpy(expected))).abs()
    # The CPU rounds means to integers; of two nearest neighbors, either may be taken.
    rounding = {"nearest": 0, "bilinear": 0.5 / 255 / inputs.SD}
    assert (apart > rounding[interpolation] + 1e-3).float().mean() < 0.002


class Fixed:
    """A random generator that returns given numbers."""

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self.numbers = numbers

    def random(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        assert self.numbers.shape == shape
        return self.numbers


def test_learning_rate_is_in_the_tensor_of_the_graph(mnist_folder: Path) -> None:
    cycle = recipe(
        epochs=2,
        batch_size=64,
        learning_rate=0.1,
        train_images=600,
        scheduler="one_cycle",
        warmup_fraction=0.2,
    )
    run = trainer(mnist_folder, cycle, "cpu")
    for epoch in range(2):
        run.train(epoch)
        for group in run.optimizer.param_groups:
            assert isinstance(group["lr"], torch.Tensor)
            assert float(group["lr"]) == pytest.approx(run.learning_rate(epoch, 9), rel=1e-6)


@pytest.mark.parametrize("on", DEVICES)
def test_training_continued_from_a_state_gives_the_same_bytes(mnist_folder: Path, on: str) -> None:
    whole = trainer(mnist_folder, RECIPE, on)
    first, second = trainer(mnist_folder, RECIPE, on), trainer(mnist_folder, RECIPE, on)
    whole.train(0)
    first.train(0)
    second.load_state(first.state())
    assert second.train(1) == whole.train(1)
    for one, other in zip(second.state().values(), whole.state().values(), strict=True):
        assert np.array_equal(one, other)
