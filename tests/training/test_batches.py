from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from study.data import mnist
from study.recipes.recipe import Recipe
from study.training import augmentation
from study.training.batches import batches
from tests.recipes import recipe


def test_batches_have_every_image_once_in_the_order_of_the_epoch(mnist_folder: Path) -> None:
    images, labels = data = mnist.read_training_set(mnist_folder, 160)
    expected = {(image.tobytes(), label) for image, label in zip(images, labels, strict=True)}
    orders = []
    for epoch in (0, 1, 0):
        parts = list(batches(data, recipe(batch_size=50), epoch))
        assert [len(batch) for batch, _ in parts] == [50, 50, 50, 10]
        pairs = [(i.tobytes(), n) for part in parts for i, n in zip(*part, strict=True)]
        assert set(pairs) == expected
        orders.append(pairs)
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


def test_augmentation_does_not_change_the_order(mnist_folder: Path) -> None:
    data = mnist.read_training_set(mnist_folder, 160)
    upright, turned = (
        np.concatenate([labels for _, labels in batches(data, recipe(rotation=rotation), 0)])
        for rotation in (0, 7)
    )
    assert np.array_equal(upright, turned)


def test_each_change_draws_from_a_stream_of_its_own_in_each_epoch(
    mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strengths, numbers = [], []

    def augment(
        images: NDArray[np.uint8],
        _: Recipe,
        strength: float,
        generators: Mapping[str, np.random.Generator],
    ) -> NDArray[np.uint8]:
        strengths.append(strength)
        numbers.append([generators[stream].random() for stream in augmentation.STREAMS])
        return images

    monkeypatch.setattr(augmentation, "augment", augment)
    data = mnist.read_training_set(mnist_folder, 160)
    annealed = recipe(epochs=2, batch_size=160, rotation=7, augmentation_anneal=1)
    for epoch in (0, 1, 0):
        assert len(list(batches(data, annealed, epoch))) == 1
    assert strengths == [1, 0.5, 1]
    assert len({*numbers[0], *numbers[1]}) == 2 * len(augmentation.STREAMS)
    assert numbers[2] == numbers[0]
