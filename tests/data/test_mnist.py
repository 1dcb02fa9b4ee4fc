from pathlib import Path

import numpy as np
import pytest

from study.data import mnist


def test_training_set_has_60_000_images_in_the_original_order(mnist_folder: Path) -> None:
    images, labels = mnist.read_training_set(mnist_folder)
    assert images.shape == (60_000, 28, 28)
    assert images.dtype == np.uint8
    assert labels.shape == (60_000,)
    assert labels.dtype == np.int64
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert set(labels.tolist()) == set(range(10))


def test_test_set_has_10_000_upright_images(mnist_folder: Path) -> None:
    images, labels = mnist.read_evaluation_set(mnist_folder)
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    # The first is a seven: it has more ink in its upper half.
    assert images[0, :14].sum() > images[0, 14:].sum()


@pytest.mark.parametrize(
    ("train_images", "validation_images", "expected"),
    [(300, 0, 300), (None, 10_000, 50_000), (60_000, 10_000, 50_000), (600, 10_000, 600)],
)
def test_training_set_excludes_validation_images(
    mnist_folder: Path, train_images: int | None, validation_images: int, expected: int
) -> None:
    images, labels = mnist.read_training_set(mnist_folder)
    chosen = mnist.read_training_set(mnist_folder, train_images, validation_images)
    assert np.array_equal(chosen[0], images[:expected])
    assert np.array_equal(chosen[1], labels[:expected])


def test_validation_images_are_the_last_training_images(mnist_folder: Path) -> None:
    images, labels = mnist.read_training_set(mnist_folder)
    validation_set = mnist.read_evaluation_set(mnist_folder, 700)
    assert np.array_equal(validation_set[0], images[59_300:])
    assert np.array_equal(validation_set[1], labels[59_300:])
