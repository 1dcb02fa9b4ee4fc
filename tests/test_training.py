import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study.base.errors import UserError
from study.data import mnist
from study.evaluation import evaluator
from study.recipes.recipe import Recipe
from study.training import sgd
from tests.recipes import recipe

RECIPE = recipe(epochs=2, batch_size=32, rotation=7, train_images=160)


def with_(**values: object) -> Recipe:
    return Recipe.parse(RECIPE.model_dump() | values)


def weights(network: torch.nn.Module) -> bytes:
    return b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())


def trained(folder: Path, chosen: Recipe) -> bytes:
    network = sgd.initialise("model_4", chosen)
    trainer = sgd.Trainer(network, mnist.read(folder, "train", chosen.train_images), chosen)
    for epoch in range(chosen.epochs):
        trainer.train(epoch)
    return weights(trainer.result)


def test_same_seed_same_bytes(mnist_folder: Path) -> None:
    torch.manual_seed(100)
    first = trained(mnist_folder, RECIPE)
    torch.manual_seed(200)  # what anybody else did to torch's or numpy's state does not matter
    np.random.default_rng().random()
    assert trained(mnist_folder, RECIPE) == first


COUNTING: dict[str, object] = {
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


@pytest.mark.parametrize("key", COUNTING)
def test_each_value_of_the_recipe_counts(mnist_folder: Path, key: str) -> None:
    changed = with_(**{key: COUNTING[key]})
    assert trained(mnist_folder, changed) != trained(mnist_folder, RECIPE)


def test_the_share_of_warm_up_counts(mnist_folder: Path) -> None:
    cycles = [
        trained(mnist_folder, with_(scheduler="one_cycle", warmup_fraction=w)) for w in (0.2, 0.5)
    ]
    assert cycles[0] != cycles[1]


def test_one_cycle_goes_up_and_down_in_straight_lines(mnist_folder: Path) -> None:
    """20 steps in all: up from a 25th of the rate until the 4th, then down to almost nothing."""
    cycle = with_(scheduler="one_cycle", warmup_fraction=0.2, learning_rate=0.1, epochs=4)
    network = sgd.initialise("model_1", cycle)
    trainer = sgd.Trainer(network, mnist.read(mnist_folder, "train", 160), cycle)
    rates = []
    for _ in range(20):
        rates += [group["lr"] for group in trainer.optimizer.param_groups]
        trainer.optimizer.step()
        trainer.scheduler.step()
    expected = [*np.linspace(0.1 / 25, 0.1, 4), *np.linspace(0.1, 0.1 / 25 / 1e4, 17)[1:]]
    assert rates == pytest.approx(np.repeat(expected, 2))


def test_weight_decay_is_of_convolutions_alone() -> None:
    network = sgd.initialise("model_2", RECIPE)
    decayed = {
        id(parameter): group["weight_decay"]
        for group in sgd.optimizer(network, with_(weight_decay=0.01)).param_groups
        for parameter in group["params"]
    }
    assert len(decayed) == len([*network.parameters()])
    for layer in network:
        for parameter in layer.parameters():
            assert decayed[id(parameter)] == (0.01 if isinstance(layer, torch.nn.Conv2d) else 0)


def test_initialisation_comes_from_the_seed_and_leaves_torch_s_state() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = weights(sgd.initialise("model_1", RECIPE))
    assert torch.equal(torch.rand(1), expected)
    assert weights(sgd.initialise("model_1", RECIPE)) == first
    assert weights(sgd.initialise("model_1", with_(seed=2))) != first


def test_every_image_once_in_an_order_of_the_epoch(mnist_folder: Path) -> None:
    upright = with_(rotation=0, batch_size=50)
    images, labels = mnist.read(mnist_folder, "train", upright.train_images)
    trainer = sgd.Trainer(sgd.initialise("model_1", upright), (images, labels), upright)
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


def test_rotation_leaves_the_order_as_it_was(mnist_folder: Path) -> None:
    data = mnist.read(mnist_folder, "train", RECIPE.train_images)
    labels = [
        torch.cat([label for _, label in sgd.Trainer(
            sgd.initialise("model_1", each), data, each).batches(0)])
        for each in (RECIPE, with_(rotation=0))
    ]  # fmt: skip
    assert torch.equal(*labels)


def test_momentum_is_kept_across_batches_and_epochs(mnist_folder: Path) -> None:
    """Against stochastic gradient descent written out, with nothing else in the way."""
    chosen = with_(dropout=0.0, rotation=0, momentum=0.5)
    data = mnist.read(mnist_folder, "train", chosen.train_images)
    network = sgd.initialise("model_1", chosen)
    trainer = sgd.Trainer(network, data, chosen)
    expected = sgd.initialise("model_1", chosen)
    velocity = [torch.zeros_like(p) for p in expected.parameters()]
    for epoch in range(2):
        for images, labels in trainer.batches(epoch):
            logits = expected(evaluator.normalise(images))
            loss = torch.nn.functional.cross_entropy(logits, labels)
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            with torch.no_grad():
                for p, v, g in zip(expected.parameters(), velocity, gradients, strict=True):
                    v.mul_(chosen.momentum).add_(g)
                    p.sub_(chosen.learning_rate * v)
        trainer.train(epoch)
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_average_is_written_out(mnist_folder: Path) -> None:
    """Two steps: of the first values a quarter stays, of those in between a quarter too."""
    chosen = with_(ema_decay=0.5, epochs=1, batch_size=80)
    data = mnist.read(mnist_folder, "train", 160)
    network = sgd.initialise("model_2", chosen)
    begin = {key: value.clone() for key, value in network.state_dict().items()}
    trainer = sgd.Trainer(network, data, chosen)
    trainer.train(0)
    half = with_(ema_decay=0.5, epochs=1, batch_size=80, train_images=80)
    order = next(trainer.batches(0))
    between = sgd.initialise("model_2", chosen)
    first = sgd.Trainer(between, order, half)
    first.batches = lambda epoch: iter([order])  # type: ignore[method-assign]
    first.train(0)
    for key, average in trainer.result.state_dict().items():
        if average.is_floating_point():
            middle, end = between.state_dict()[key], network.state_dict()[key]
            torch.testing.assert_close(average, begin[key] / 4 + middle / 4 + end / 2)
    assert weights(trainer.result) != weights(network)


def test_without_an_average_the_network_is_the_result(mnist_folder: Path) -> None:
    network = sgd.initialise("model_2", RECIPE)
    assert sgd.Trainer(network, mnist.read(mnist_folder, "train", 9), RECIPE).result is network


def test_what_an_epoch_says(mnist_folder: Path) -> None:
    """A rate too small to change anything: the epoch's figures are those of the first weights."""
    chosen = with_(learning_rate=1e-30, dropout=0.0, rotation=0, batch_size=60)
    images, labels = mnist.read(mnist_folder, "train", chosen.train_images)
    network = sgd.initialise("model_1", chosen)
    said = sgd.Trainer(network, (images, labels), chosen).train(0)
    expected = evaluator.evaluate(network, images, labels)
    assert math.isclose(said.loss, expected.loss, rel_tol=1e-5)
    assert said.accuracy == expected.accuracy
    assert said.last_batch == 2


def test_the_loss_falls(mnist_folder: Path) -> None:
    chosen = with_(train_images=640, rotation=0)
    data = mnist.read(mnist_folder, "train", chosen.train_images)
    trainer = sgd.Trainer(sgd.initialise("model_2", chosen), data, chosen)
    losses = [trainer.train(epoch).loss for epoch in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


@pytest.mark.fault(
    "a loss that becomes nan or inf (learning rate 1000)",
    "training stops at that step and names epoch, batch and rate",
)
def test_divergence_is_named(mnist_folder: Path) -> None:
    with pytest.raises(UserError, match=r"diverged.* epoch \d, batch \d+; learning_rate = 1000.0"):
        trained(mnist_folder, with_(learning_rate=1000))


def test_evaluation_against_pencil_and_paper(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "test", 1200)
    network = sgd.initialise("model_2", RECIPE)
    tested = evaluator.evaluate(network, images, labels)
    assert network.training
    with torch.no_grad():
        x = (images.double()[:, None] / 255 - evaluator.MEAN) / evaluator.STANDARD_DEVIATION
        logits = network.double().eval()(x)
    likelihoods = torch.softmax(logits, dim=1)[torch.arange(len(labels)), labels]
    assert math.isclose(tested.loss, -likelihoods.log().mean().item(), rel_tol=1e-5)
    assert torch.equal(tested.predictions, logits.argmax(dim=1))
    assert tested.correct == int((logits.argmax(dim=1) == labels).sum())
    assert tested.accuracy == 100 * tested.correct / 1200
    assert replace(tested, correct=300).accuracy == 25
