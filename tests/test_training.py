import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study import evaluation, mnist, training
from study.errors import UserError
from study.recipe import Recipe

RECIPE = Recipe(
    seed=1,
    epochs=1,
    batch_size=32,
    learning_rate=0.01,
    momentum=0.9,
    dropout=0.1,
    rotation=7,
    samples=160,
    device="cpu",
)


def with_(**values: object) -> Recipe:
    return Recipe.parse(RECIPE.model_dump() | values)


def weights(network: torch.nn.Module) -> bytes:
    return b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())


def trained(folder: Path, recipe: Recipe, epochs: int = 2) -> bytes:
    network = training.initialise("model_4", recipe)
    trainer = training.Trainer(network, mnist.read(folder, "train", recipe.samples), recipe)
    for epoch in range(epochs):
        trainer.train(epoch)
    return weights(network)


def test_same_seed_same_bytes(mnist_folder: Path) -> None:
    torch.manual_seed(100)
    first = trained(mnist_folder, RECIPE)
    torch.manual_seed(200)  # what anybody else did to torch's or numpy's state does not matter
    np.random.default_rng().random()
    assert trained(mnist_folder, RECIPE) == first


@pytest.mark.parametrize("key", ["seed", "dropout", "rotation", "learning_rate", "momentum"])
def test_each_value_of_the_recipe_counts(mnist_folder: Path, key: str) -> None:
    value = {"seed": 2, "dropout": 0.2, "rotation": 8, "learning_rate": 0.02, "momentum": 0.5}[key]
    assert trained(mnist_folder, with_(**{key: value})) != trained(mnist_folder, RECIPE)


def test_initialisation_comes_from_the_seed_and_leaves_torch_s_state() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = weights(training.initialise("model_1", RECIPE))
    assert torch.equal(torch.rand(1), expected)
    assert weights(training.initialise("model_1", RECIPE)) == first
    assert weights(training.initialise("model_1", with_(seed=2))) != first


def test_every_image_once_in_an_order_of_the_epoch(mnist_folder: Path) -> None:
    recipe = with_(rotation=0, batch_size=50)
    images, labels = mnist.read(mnist_folder, "train", recipe.samples)
    trainer = training.Trainer(training.initialise("model_1", recipe), (images, labels), recipe)
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
    data = mnist.read(mnist_folder, "train", RECIPE.samples)
    labels = [
        torch.cat([label for _, label in training.Trainer(
            training.initialise("model_1", recipe), data, recipe).batches(0)])
        for recipe in (RECIPE, with_(rotation=0))
    ]  # fmt: skip
    assert torch.equal(*labels)


def test_momentum_is_kept_across_batches_and_epochs(mnist_folder: Path) -> None:
    """Against stochastic gradient descent written out, with nothing else in the way."""
    recipe = with_(dropout=0.0, rotation=0, momentum=0.5)
    data = mnist.read(mnist_folder, "train", recipe.samples)
    network = training.initialise("model_1", recipe)
    trainer = training.Trainer(network, data, recipe)
    expected = training.initialise("model_1", recipe)
    velocity = [torch.zeros_like(p) for p in expected.parameters()]
    for epoch in range(2):
        for images, labels in trainer.batches(epoch):
            logits = expected(evaluation.normalise(images))
            loss = torch.nn.functional.cross_entropy(logits, labels)
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            with torch.no_grad():
                for p, v, g in zip(expected.parameters(), velocity, gradients, strict=True):
                    v.mul_(recipe.momentum).add_(g)
                    p.sub_(recipe.learning_rate * v)
        trainer.train(epoch)
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_what_an_epoch_says(mnist_folder: Path) -> None:
    """A rate too small to change anything: the epoch's figures are those of the first weights."""
    recipe = with_(learning_rate=1e-30, dropout=0.0, rotation=0, batch_size=60)
    images, labels = mnist.read(mnist_folder, "train", recipe.samples)
    network = training.initialise("model_1", recipe)
    said = training.Trainer(network, (images, labels), recipe).train(0)
    expected = evaluation.evaluate(network, images, labels)
    assert math.isclose(said.loss, expected.loss, rel_tol=1e-5)
    assert said.accuracy == expected.accuracy
    assert said.last_batch == 2


def test_the_loss_falls(mnist_folder: Path) -> None:
    recipe = with_(samples=640, rotation=0)
    data = mnist.read(mnist_folder, "train", recipe.samples)
    trainer = training.Trainer(training.initialise("model_2", recipe), data, recipe)
    losses = [trainer.train(epoch).loss for epoch in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_divergence_is_named(mnist_folder: Path) -> None:
    with pytest.raises(UserError, match=r"diverged.* epoch \d, batch \d+; learning_rate = 1000.0"):
        trained(mnist_folder, with_(learning_rate=1000))


def test_evaluation_against_pencil_and_paper(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "test", 1200)
    network = training.initialise("model_2", RECIPE)
    tested = evaluation.evaluate(network, images, labels)
    assert network.training
    with torch.no_grad():
        x = (images.double()[:, None] / 255 - evaluation.MEAN) / evaluation.STANDARD_DEVIATION
        logits = network.double().eval()(x)
    likelihoods = torch.softmax(logits, dim=1)[torch.arange(len(labels)), labels]
    assert math.isclose(tested.loss, -likelihoods.log().mean().item(), rel_tol=1e-5)
    assert torch.equal(tested.predictions, logits.argmax(dim=1))
    assert tested.correct == int((logits.argmax(dim=1) == labels).sum())
    assert tested.accuracy == 100 * tested.correct / 1200
    assert replace(tested, correct=300).accuracy == 25
