from pathlib import Path

import numpy as np

from study.data import mnist
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
