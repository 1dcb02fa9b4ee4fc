import base64

import numpy as np
from numpy.typing import NDArray

from study.page import digits
from study.page.digits import Misread

LABELS = np.arange(40) % 10


def predictions(wrong: dict[int, int], models: int = 4) -> dict[str, NDArray[np.int64]]:
    """What models read: the first `wrong[image]` of them misread an image, as the next digit."""
    read = {f"model_{model}": LABELS.copy() for model in range(models)}
    for image, count in wrong.items():
        for name in [*read][:count]:
            read[name][image] = (LABELS[image] + 1) % 10
    return read


def test_misread_images_are_in_groups_the_hardest_first() -> None:
    found = digits.misread(LABELS, predictions({3: 1, 7: 4, 9: 3, 12: 2, 21: 1}))
    assert [(each.image, each.group) for each in found] == [
        *((7, "every"), (9, "most"), (12, "some"), (3, "one"), (21, "one"))
    ]
    assert found[1] == Misread(image=9, label=9, group="most", answers=(0, 0, 0, 9))


def test_only_model_misreads_as_every_model() -> None:
    (found,) = digits.misread(LABELS, predictions({5: 1}, models=1))
    assert found.group == "every"


def test_examples_are_read_correctly_by_every_model() -> None:
    found = digits.examples(LABELS, predictions({3: 1, 13: 4}))
    assert found[3] == [23, 33]
    assert found[4] == [4, 14, 24, 34]


def test_data_has_the_pixels_of_what_is_shown() -> None:
    images = np.arange(40, dtype=np.uint8).repeat(784).reshape(-1, 28, 28)
    data = digits.data(images, LABELS, predictions({3: 1, 7: 4}))
    shown = data["misread"] + [each for of_digit in data["examples"] for each in of_digit]
    assert [each["image"] for each in shown][:3] == [7, 3, 0]
    for each in shown:
        assert base64.b64decode(each["pixels"]) == bytes([each["image"]] * 784)


def test_data_is_small_if_all_images_are_misread() -> None:
    labels = np.arange(1000) % 10
    read = {"model_1": (labels + 1) % 10, "model_2": labels}
    data = digits.data(np.zeros((1000, 28, 28), np.uint8), labels, read)
    assert len(data["misread"]) == digits.MOST_IN_GROUP
    assert data["groups"] == {"every": 0, "most": 0, "some": 0, "one": 1000}
    assert data["examples"] == [[]] * 10
