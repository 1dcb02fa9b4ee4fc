"""Training in the engine and in PyTorch: both do what a recipe says."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
from study.data import mnist
from study.engine import Arrays
from study.evaluation import evaluator
from study.networks.inputs import normalize
from study.recipes.recipe import Recipe
from study.training import pytorch_trainer, trainers
from study.training.averaging import ExponentialMovingAverage
from study.training.engine_trainer import EngineTrainer
from study.training.pytorch_trainer import PyTorchTrainer
from study.training.trainer import DivergedError, Trainer, initialize
from tests.recipes import recipe

RECIPE = recipe(epochs=2, batch_size=32, rotation=7, train_images=160)
KINDS = [EngineTrainer, PyTorchTrainer]

pytestmark = pytest.mark.xdist_group("engine")


def with_(**values: object) -> Recipe:
    return Recipe.parse(RECIPE.model_dump() | values)


def content(weights: Arrays) -> bytes:
    return b"".join(value.tobytes() for value in weights.values())


def begun(
    folder: Path, chosen: Recipe, kind: type[Trainer] = EngineTrainer, model: str = "model_4"
) -> Trainer:
    data = mnist.read_training_set(folder, chosen.train_images)
    return kind(initialize(model, chosen), data, chosen)  # type: ignore[call-arg, arg-type]


def trained(
    folder: Path, chosen: Recipe, kind: type[Trainer] = EngineTrainer, model: str = "model_4"
) -> Arrays:
    trainer = begun(folder, chosen, kind, model)
    for epoch in range(chosen.epochs):
        trainer.train(epoch)
    return trainer.weights()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_bytes(mnist_folder: Path, kind: type[Trainer]) -> None:
    torch.manual_seed(100)
    first = content(trained(mnist_folder, RECIPE, kind))
    torch.manual_seed(200)  # torch's global state does not matter
    assert content(trained(mnist_folder, RECIPE, kind)) == first


OTHER_VALUES: dict[str, object] = {
    "seed": 2,
    "learning_rate": 0.02,
    "scheduler": "one_cycle",
    "momentum": 0.5,
    "weight_decay": 0.01,
    "ema_decay": 0.5,
    "dropout": 0.2,
    "rotation": 8,
    "translation": 2,
    "scaling": 0.1,
    "elastic": 2,
    "augmentation_anneal": 1,
    "interpolation": "bilinear",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", OTHER_VALUES)
def test_each_value_of_the_recipe_changes_the_weights(
    mnist_folder: Path, key: str, kind: type[Trainer]
) -> None:
    changed = with_(**{key: OTHER_VALUES[key]})
    assert content(trained(mnist_folder, changed, kind)) != unchanged(mnist_folder, kind)


@cache
def unchanged(folder: Path, kind: type[Trainer]) -> bytes:
    return content(trained(folder, RECIPE, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_each_epoch_draws_new_dropout(mnist_folder: Path, kind: type[Trainer]) -> None:
    """One batch of equal images, so that their order does not matter."""
    chosen = with_(rotation=0, dropout=0.5, learning_rate=1e-30, batch_size=160)
    images, labels = mnist.read_training_set(mnist_folder, 1)
    data = np.repeat(images, 160, axis=0), np.repeat(labels, 160)
    run = kind(initialize("model_1", chosen), data, chosen)  # type: ignore[call-arg, arg-type]
    assert run.train(0).loss != run.train(1).loss


@pytest.mark.parametrize("ema_decay", [0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_between_epochs_changes_nothing(
    mnist_folder: Path, kind: type[Trainer], ema_decay: float
) -> None:
    states = []
    for evaluates in (False, True):
        trainer = begun(mnist_folder, with_(ema_decay=ema_decay), kind, "model_2")
        trainer.train(0)
        if evaluates:
            trainer.logits(trainer.train_set[0][:50])
        trainer.train(1)
        states.append(content(trainer.state()))
    assert states[0] == states[1]


def test_weight_decay_applies_to_convolutions_only() -> None:
    network = initialize("model_2", RECIPE)
    decayed = {
        id(parameter): group["weight_decay"]
        for group in pytorch_trainer.optimizer(network, with_(weight_decay=0.01)).param_groups
        for parameter in group["params"]
    }
    assert len(decayed) == len([*network.parameters()])
    for parameter in network.parameters():
        assert decayed[id(parameter)] == (0.01 if parameter.ndim == 4 else 0)


def test_initialize_uses_the_seed_and_keeps_torchs_state() -> None:
    def weights(chosen: Recipe) -> bytes:
        values = initialize("model_1", chosen).state_dict().values()
        return b"".join(value.numpy().tobytes() for value in values)

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = weights(RECIPE)
    assert torch.equal(torch.rand(1), expected)
    assert weights(RECIPE) == first
    assert weights(with_(seed=2)) != first


def test_initialize_keeps_frozen_weights_and_seeds_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def network(*_: object) -> nn.Sequential:
        fixed = nn.Conv2d(1, 1, 1).requires_grad_(False)
        nn.init.constant_(fixed.weight, 0.5)
        return nn.Sequential(fixed, nn.ConvTranspose2d(1, 1, 1), nn.Conv2d(1, 10, 28), nn.Flatten())

    def weights(seed: int) -> list[bytes]:
        found = initialize("model_7", with_(seed=seed))
        return [each.weight.detach().numpy().tobytes() for each in (found[1], found[2])]  # type: ignore[operator]

    monkeypatch.setattr(models, "build", network)
    fixed = initialize("model_7", RECIPE)[0].weight
    assert isinstance(fixed, nn.Parameter)
    assert fixed.item() == 0.5
    assert weights(1) == weights(1)
    assert all(one != other for one, other in zip(weights(1), weights(2), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_training_equals_sgd_with_momentum_written_out(
    mnist_folder: Path, kind: type[Trainer]
) -> None:
    """Momentum, weight decay, learning rate and average, across batches and epochs."""
    chosen = with_(
        dropout=0,
        rotation=0,
        momentum=0.5,
        weight_decay=0.01,
        ema_decay=0.75,
        scheduler="one_cycle",
        warmup_fraction=0.3,
    )
    trainer = begun(mnist_folder, chosen, kind, "model_1")
    expected = initialize("model_1", chosen)
    average = [parameter.detach().clone() for parameter in expected.parameters()]
    velocity = [torch.zeros_like(parameter) for parameter in average]
    for epoch in range(2):
        for batch, (images, labels) in enumerate(trainer.batches(epoch)):
            logits = expected(normalize(torch.from_numpy(images)))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels))
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            rate = trainer.learning_rate(epoch, batch)
            with torch.no_grad():
                for p, a, v, g in zip(
                    expected.parameters(), average, velocity, gradients, strict=True
                ):
                    v.mul_(0.5).add_(g + (0.01 * p if p.ndim == 4 else 0))
                    p.sub_(rate * v)
                    a.add_(0.25 * (p - a))
        trainer.train(epoch)
    for actual, wanted in zip(trainer.weights().values(), average, strict=True):
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-4, atol=1e-6)


def test_average_of_shared_weights_moves_once_a_step() -> None:
    shared = nn.Conv2d(1, 1, 1)
    average = ExponentialMovingAverage(nn.Sequential(shared, shared), 0.75)
    before = shared.weight.detach().clone()
    with torch.no_grad():
        shared.weight += 1
    average.update()
    for layer in average.network:
        assert isinstance(layer, nn.Conv2d)
        torch.testing.assert_close(layer.weight, before + 0.25)


def test_both_trainers_average_running_statistics(mnist_folder: Path) -> None:
    chosen = with_(dropout=0, ema_decay=0.5)
    engine, pytorch = (
        trained(mnist_folder, chosen, kind, "model_2") for kind in (EngineTrainer, PyTorchTrainer)
    )
    assert list(engine) == list(pytorch)
    for name, value in engine.items():
        assert value.dtype == pytorch[name].dtype
        if "running" in name:
            np.testing.assert_allclose(value, pytorch[name], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_train_stats_equal_an_evaluation_of_unchanged_weights(
    mnist_folder: Path, kind: type[Trainer]
) -> None:
    """The learning rate is too small to change a weight."""
    chosen = with_(learning_rate=1e-30, dropout=0.0, rotation=0, batch_size=60)
    images, labels = mnist.read_training_set(mnist_folder, chosen.train_images)
    trainer = begun(mnist_folder, chosen, kind, "model_1")
    stats = trainer.train(0)
    expected = evaluator.evaluate(trainer.logits(images), labels)
    assert math.isclose(stats.loss, expected.loss, rel_tol=1e-5)
    assert stats.accuracy == expected.accuracy
    assert stats.last_batch == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.fault(
    "a loss that becomes nan or inf (learning rate 1000)",
    "training stops at that step and reports epoch, batch and learning rate",
)
def test_training_stops_when_the_loss_diverges(mnist_folder: Path, kind: type[Trainer]) -> None:
    with pytest.raises(DivergedError, match=r"epoch \d, batch \d+.*1000\.0"):
        trained(mnist_folder, with_(learning_rate=1000), kind)


@pytest.mark.parametrize("model", models.names())
def test_every_model_of_the_study_trains_in_the_engine(mnist_folder: Path, model: str) -> None:
    data = mnist.read_training_set(mnist_folder, 9)
    trainer = trainers.trainer(initialize(model, RECIPE), data, RECIPE)
    assert isinstance(trainer, EngineTrainer)


def test_network_with_another_layer_trains_in_pytorch(mnist_folder: Path) -> None:
    layers = nn.Conv2d(1, 10, 28), nn.Sigmoid(), nn.Flatten()
    images, labels = mnist.read_training_set(mnist_folder, 160)
    network = nn.Sequential(*layers)
    trainer = trainers.trainer(network, (images, labels), RECIPE)
    assert isinstance(trainer, PyTorchTrainer)
    first, second = (trainer.train(epoch) for epoch in range(2))
    assert second.loss < first.loss
    np.testing.assert_array_equal(trainer.logits(images), evaluator.logits(network, images))
