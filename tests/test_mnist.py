from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from study.base.errors import UserError
from study.data import mnist


def test_training_split(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "train")
    assert images.shape == (60_000, 28, 28)
    assert images.dtype == torch.uint8
    # The mean and standard deviation that everybody, the documents too, normalises with.
    pixels = images.double() / 255
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (0.1307, 0.3081)
    assert labels.shape == (60_000,)
    assert labels.dtype == torch.int64
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert set(labels.tolist()) == set(range(10))


def test_test_split(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "test")
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    # The first is a seven: upright when there is more ink in its upper rows.
    assert images[0, :14].int().sum() > images[0, 14:].int().sum()


def test_what_a_model_is_evaluated_on(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "train")
    validation_images = mnist.read_evaluation_set(mnist_folder, 700)
    assert torch.equal(validation_images[0], images[59_300:])
    assert torch.equal(validation_images[1], labels[59_300:])
    test_set = mnist.read(mnist_folder, "test")
    assert all(map(torch.equal, mnist.read_evaluation_set(mnist_folder, 0), test_set))
    for count in (-1, 60_000):
        with pytest.raises(
            UserError, match=f"validation_images = {count}: give a whole number, at least 0"
        ):
            mnist.read_evaluation_set(mnist_folder, count)


def test_first_samples(mnist_folder: Path) -> None:
    images, labels = mnist.read(mnist_folder, "train", train_images=300)
    all_images, all_labels = mnist.read(mnist_folder, "train")
    assert torch.equal(images, all_images[:300])
    assert torch.equal(labels, all_labels[:300])


def flip_a_bit(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def truncate(raw: bytes) -> bytes:
    return raw[:-1]


def empty(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty])
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_file(
    mnist_folder: Path, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    for other in mnist.SHA256:
        (tmp_path / other).symlink_to(mnist_folder / other)
    mnist.read(tmp_path, "test")

    # The sum is taken at every read: a good one does not excuse the next.
    damaged = damage((mnist_folder / name).read_bytes())
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(UserError) as caught:
        mnist.read(tmp_path, "test")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{tmp_path / name}: ")
    assert mnist.sha256(damaged) in message
    assert mnist.SHA256[name] in message
    assert "dvc repro --force download" in message
    # The other split is none the worse.
    mnist.read(tmp_path, "train", train_images=1)


def test_missing_file(mnist_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").symlink_to(mnist_folder / "t10k-images-idx3-ubyte")
    with pytest.raises(
        UserError, match=r"t10k-labels-idx1-ubyte: No such file.*`dvc repro download`"
    ):
        mnist.read(tmp_path, "test")
