"""The engine's interface: bytes, divergence, evaluation, checkpoints."""

import hashlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import models
from study.engine import Engine, initialize, rng_state
from study.engine.loss import cross_entropy
from tests.engine.reference import digits

pytestmark = pytest.mark.xdist_group("engine")

GOLDEN = {
    "model_1": "dc37e4f3115e7015",
    "model_2": "aa55853a0ffea37c",
    "model_3": "d3a657ee1f2f26ea",
    "model_4": "04d3cf39ffe71f5a",
    "model_4_deeper": "c65ff0f9d62a5457",
    "model_4_pooled_first": "cbdae33a1d31c455",
    "model_5": "0eda441e3077bc9d",
    "model_6": "96840316268817a7",
    "model_6_standard": "a064c8a92fd9811a",
}
"""First 16 digits of the SHA-256 of all weights and logits after three steps, on any processor."""


def trained(model: str, steps: int = 3, batch_size: int = 12) -> Engine:
    """Return an engine that has trained for a few steps."""
    network = models.build(model, 0.125)
    initialize(network, np.random.SeedSequence(7))
    engine = Engine(network, batch_size, ema_decay=0.5)
    state = rng_state(np.random.SeedSequence(1))
    for step in range(steps):
        engine.step(*digits(batch_size, step), state, 0.05, 0.9, 1e-4)
    return engine


def digest(engine: Engine) -> str:
    """Return the digest. Fails if a value is not finite: its bits may differ between processors."""
    logits = engine.logits(digits(5, 9)[0])
    assert np.isfinite(engine.values).all()
    assert np.isfinite(logits).all()
    content = engine.values.tobytes() + engine.average.tobytes() + logits.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.slow
@pytest.mark.parametrize("model", GOLDEN)
def test_training_gives_the_golden_bytes(model: str) -> None:
    assert digest(trained(model)) == GOLDEN[model]


@pytest.mark.parametrize("model", ["model_3", "model_6"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_engine_with_a_weight_that_is_not_finite_has_such_a_loss(model: str, value: float) -> None:
    network = models.build(model, 0.125)
    engine = Engine(network, 12)
    state = rng_state(np.random.SeedSequence(1))
    images, labels = digits(12)
    trained = {name for name, _ in network.named_parameters()}
    for name, (place, _) in engine.places.items():
        engine.load({k: v.numpy() for k, v in network.state_dict().items()})
        engine.values[place][0] = value
        loss_sum, _ = engine.step(images, labels, state, 0.01, 0.9)
        engine.average[:] = engine.values
        logits = engine.logits(images)
        tested, _ = cross_entropy(logits, labels, 10, np.zeros((0, 0), np.float32))
        assert not math.isfinite(tested)
        # Training does not use running statistics; evaluation does.
        assert math.isfinite(loss_sum) == (name not in trained)


@pytest.mark.slow
def test_max_pooling_keeps_an_infinite_pixel() -> None:
    """At each place in its window, and without a norm, whose mean would not be finite."""
    convolution = nn.Conv2d(1, 8, 1)
    nn.init.constant_(convolution.weight, 3e38)  # overflows for a white pixel
    layers = [nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(14), nn.Conv2d(8, 10, 1), nn.Flatten()]
    network = nn.Sequential(convolution, *layers)
    black, labels = np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64)
    places = [(row, column) for row in (10, 11) for column in (10, 11)]
    for place in (None, *places):
        images = black.copy()
        if place:
            images[0][place] = 255
        # A step without a finite loss leaves no finite weights.
        engine, state = Engine(network, 1), rng_state(np.random.SeedSequence(1))
        loss_sum, _ = engine.step(images, labels, state, 0.0, 0.9)
        assert math.isfinite(loss_sum) == (place is None)


def test_evaluation_in_other_batches_gives_the_same_logits() -> None:
    engine = trained("model_5")
    images, _ = digits(40, 9)
    logits = engine.logits(images)
    for start, end in ((0, 1), (3, 10), (20, 40)):
        assert np.array_equal(logits[start:end], engine.logits(images[start:end]))
    other = Engine(models.build("model_5", 0.0), 33)
    other.load(engine.weights())
    assert np.array_equal(logits, other.logits(images))


def test_step_with_a_wrong_batch_size_raises_value_error() -> None:
    engine = trained("model_3", 0)
    for n in (0, 13):
        with pytest.raises(ValueError, match=f"1 to 12 images, got {n}"):
            engine.step(*digits(n), rng_state(np.random.SeedSequence(1)), 0.1, 0.9)


def test_images_and_labels_that_do_not_fit_raise_value_error() -> None:
    engine, state = trained("model_3", 0), rng_state(np.random.SeedSequence(1))
    images, labels = digits(12)
    others: list[Any] = [images / 255, images[:, 1:], images.reshape(12, 784)]
    for wrong in others:
        with pytest.raises(ValueError, match="uint8"):
            engine.step(wrong, labels, state, 0.1, 0.9)
    with pytest.raises(ValueError, match=r"12 images .* 11"):
        engine.step(images, labels[:11], state, 0.1, 0.9)


def test_engine_trains_on_after_an_evaluation_that_failed() -> None:
    engine = trained("model_3", 1)
    before = engine.values.copy()
    assert (before != engine.average).any()
    with pytest.raises(ValueError, match="uint8"):
        engine.logits(np.zeros((2, 27, 27), np.uint8))
    assert np.array_equal(engine.values, before)


def test_weights_have_names_shapes_and_types_of_the_network() -> None:
    network = models.build("model_6", 0.1)
    weights = Engine(network, 4).weights()
    assert list(weights) == list(network.state_dict())
    for name, value in network.state_dict().items():
        assert np.array_equal(weights[name], value.numpy())
        assert torch.from_numpy(weights[name]).dtype == value.dtype
