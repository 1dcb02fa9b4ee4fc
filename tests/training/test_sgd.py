import math
from pathlib import Path

import numpy as np
import pytest
import torch

from study.base.errors import DivergedError
from study.data import mnist
from study.evaluation import evaluator
from study.networks.inputs import normalize
from study.recipes.recipe import Recipe
from study.training import sgd
from tests.recipes import recipe

RECIPE = recipe(epochs=2, batch_size=32, rotation=7, train_images=160)


def with_(**values: object) -> Recipe:
    return Recipe.parse(RECIPE.model_dump() | values)


def weights(network: torch.nn.Module) -> bytes:
    return b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())


def trained(folder: Path, chosen: Recipe) -> bytes:
    network = sgd.initialize("model_4", chosen)
    trainer = sgd.Trainer(network, mnist.read_training_set(folder, chosen.train_images), chosen)
    for epoch in range(chosen.epochs):
        trainer.train(epoch)
    return weights(trainer.eval_network)


def test_same_seed_gives_same_bytes(mnist_folder: Path) -> None:
    torch.manual_seed(100)
    first = trained(mnist_folder, RECIPE)
    torch.manual_seed(200)  # the global states of torch and numpy do not matter
    np.random.default_rng().random()
    assert trained(mnist_folder, RECIPE) == first


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


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_each_value_of_the_recipe_changes_the_weights(mnist_folder: Path, key: str) -> None:
    changed = with_(**{key: OTHER_VALUES[key]})
    assert trained(mnist_folder, changed) != trained(mnist_folder, RECIPE)


def test_warmup_fraction_changes_the_weights(mnist_folder: Path) -> None:
    cycles = [
        trained(mnist_folder, with_(scheduler="one_cycle", warmup_fraction=w)) for w in (0.2, 0.5)
    ]
    assert cycles[0] != cycles[1]


def test_one_cycle_is_piecewise_linear(mnist_folder: Path) -> None:
    """Of 20 steps, 4 go up from a 25th of the peak, the others down to almost 0."""
    cycle = with_(scheduler="one_cycle", warmup_fraction=0.2, learning_rate=0.1, epochs=4)
    network = sgd.initialize("model_1", cycle)
    trainer = sgd.Trainer(network, mnist.read_training_set(mnist_folder, 160), cycle)
    rates = []
    for _ in range(20):
        rates += [group["lr"] for group in trainer.optimizer.param_groups]
        trainer.optimizer.step()
        trainer.scheduler.step()
    expected = [*np.linspace(0.1 / 25, 0.1, 4), *np.linspace(0.1, 0.1 / 25 / 1e4, 17)[1:]]
    assert rates == pytest.approx(np.repeat(expected, 2))


def test_weight_decay_applies_to_convolutions_only() -> None:
    network = sgd.initialize("model_2", RECIPE)
    decayed = {
        id(parameter): group["weight_decay"]
        for group in sgd.optimizer(network, with_(weight_decay=0.01)).param_groups
        for parameter in group["params"]
    }
    assert len(decayed) == len([*network.parameters()])
    for layer in network:
        for parameter in layer.parameters():
            assert decayed[id(parameter)] == (0.01 if isinstance(layer, torch.nn.Conv2d) else 0)


def test_initialize_uses_the_seed_and_keeps_torchs_state() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = weights(sgd.initialize("model_1", RECIPE))
    assert torch.equal(torch.rand(1), expected)
    assert weights(sgd.initialize("model_1", RECIPE)) == first
    assert weights(sgd.initialize("model_1", with_(seed=2))) != first


def test_batches_have_every_image_once_in_the_order_of_the_epoch(mnist_folder: Path) -> None:
    upright = with_(rotation=0, batch_size=50)
    images, labels = mnist.read_training_set(mnist_folder, upright.train_images)
    trainer = sgd.Trainer(sgd.initialize("model_1", upright), (images, labels), upright)
    orders = []
    for epoch in (0, 1, 0):
        batches = list(trainer.batches(epoch))
        assert [len(batch) for batch, _ in batches] == [50, 50, 50, 10]
        seen = torch.cat([batch for batch, _ in batches]).reshape(len(images), -1)
        pairs = {(bytes(i.numpy()), int(label)) for i, label in zip(
            seen, torch.cat([label for _, label in batches]), strict=True)}  # fmt: skip
        assert pairs == {
            (bytes(i.numpy()), int(label))
            for i, label in zip(images.reshape(len(images), -1), labels, strict=True)
        }
        orders.append(seen)
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0], orders[2])


def test_rotation_does_not_change_the_order(mnist_folder: Path) -> None:
    data = mnist.read_training_set(mnist_folder, RECIPE.train_images)
    labels = [
        torch.cat([label for _, label in sgd.Trainer(
            sgd.initialize("model_1", each), data, each).batches(0)])
        for each in (RECIPE, with_(rotation=0))
    ]  # fmt: skip
    assert torch.equal(*labels)


def test_training_equals_sgd_with_momentum_written_out(mnist_folder: Path) -> None:
    """Momentum is kept across batches and epochs."""
    chosen = with_(dropout=0.0, rotation=0, momentum=0.5)
    data = mnist.read_training_set(mnist_folder, chosen.train_images)
    network = sgd.initialize("model_1", chosen)
    trainer = sgd.Trainer(network, data, chosen)
    expected = sgd.initialize("model_1", chosen)
    velocity = [torch.zeros_like(p) for p in expected.parameters()]
    for epoch in range(2):
        for images, labels in trainer.batches(epoch):
            logits = expected(normalize(images))
            loss = torch.nn.functional.cross_entropy(logits, labels)
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            with torch.no_grad():
                for p, v, g in zip(expected.parameters(), velocity, gradients, strict=True):
                    v.mul_(chosen.momentum).add_(g)
                    p.sub_(chosen.learning_rate * v)
        trainer.train(epoch)
    for actual, wanted in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-6)


def test_average_equals_one_written_out(mnist_folder: Path) -> None:
    """After two steps with decay 1/2: 1/4 first values, 1/4 middle values, 1/2 last values."""
    chosen = with_(ema_decay=0.5, epochs=1, batch_size=80)
    data = mnist.read_training_set(mnist_folder, 160)
    network = sgd.initialize("model_2", chosen)
    begin = {key: value.clone() for key, value in network.state_dict().items()}
    trainer = sgd.Trainer(network, data, chosen)
    trainer.train(0)
    half = with_(ema_decay=0.5, epochs=1, batch_size=80, train_images=80)
    order = next(trainer.batches(0))
    between = sgd.initialize("model_2", chosen)
    first = sgd.Trainer(between, order, half)
    first.batches = lambda epoch: iter([order])  # type: ignore[method-assign]
    first.train(0)
    for key, average in trainer.eval_network.state_dict().items():
        if average.is_floating_point():
            middle, end = between.state_dict()[key], network.state_dict()[key]
            torch.testing.assert_close(average, begin[key] / 4 + middle / 4 + end / 2)
    assert weights(trainer.eval_network) != weights(network)


def test_eval_network_without_ema_is_the_network(mnist_folder: Path) -> None:
    network = sgd.initialize("model_2", RECIPE)
    assert (
        sgd.Trainer(network, mnist.read_training_set(mnist_folder, 9), RECIPE).eval_network
        is network
    )


def test_train_stats_equal_an_evaluation_of_unchanged_weights(mnist_folder: Path) -> None:
    """The learning rate is too small to change a weight."""
    chosen = with_(learning_rate=1e-30, dropout=0.0, rotation=0, batch_size=60)
    images, labels = mnist.read_training_set(mnist_folder, chosen.train_images)
    network = sgd.initialize("model_1", chosen)
    stats = sgd.Trainer(network, (images, labels), chosen).train(0)
    expected = evaluator.evaluate(network, images, labels)
    assert math.isclose(stats.loss, expected.loss, rel_tol=1e-5)
    assert stats.accuracy == expected.accuracy
    assert stats.last_batch == 2


def test_loss_decreases(mnist_folder: Path) -> None:
    chosen = with_(train_images=640, rotation=0)
    data = mnist.read_training_set(mnist_folder, chosen.train_images)
    trainer = sgd.Trainer(sgd.initialize("model_2", chosen), data, chosen)
    losses = [trainer.train(epoch).loss for epoch in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


@pytest.mark.fault(
    "a loss that becomes nan or inf (learning rate 1000)",
    "training stops at that step and reports epoch, batch and learning rate",
)
def test_training_stops_when_the_loss_diverges(mnist_folder: Path) -> None:
    with pytest.raises(DivergedError, match=r"epoch \d, batch \d+.*1000\.0"):
        trained(mnist_folder, with_(learning_rate=1000))
