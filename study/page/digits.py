"""The images that the page has: those that models misread, and examples of each digit."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from study.evaluation.metrics import Labels

Group = Literal["every", "most", "some", "one"]
"""Who misreads an image: every model, more than half of them, fewer than that, or one."""

MOST_IN_GROUP = 120
"""Maximum number of images of a group: badly trained networks misread thousands."""
EXAMPLES = 6
"""Number of examples of each digit."""


@dataclass(frozen=True)
class Misread:
    """An image that at least one model misreads."""

    image: int
    """Its index in the evaluation set."""
    label: int
    group: Group
    answers: tuple[int, ...]
    """What each model reads, in the order of the models."""


def misread(labels: Labels, predictions: Mapping[str, Labels]) -> list[Misread]:
    """Return the images that models misread, those that most of them misread first."""
    answers = np.stack([*predictions.values()], axis=1)
    wrong = (answers != labels[:, None]).sum(axis=1)
    order = sorted(np.flatnonzero(wrong).tolist(), key=lambda image: (-wrong[image], image))
    return [
        Misread(
            image=image,
            label=int(labels[image]),
            group=group(int(wrong[image]), len(predictions)),
            answers=tuple(answers[image].tolist()),
        )
        for image in order
    ]


def group(wrong: int, models: int) -> Group:
    """Return the group of an image that `wrong` of the models misread."""
    if wrong == models:
        return "every"
    if wrong == 1:
        return "one"
    return "most" if 2 * wrong > models else "some"


def examples(labels: Labels, predictions: Mapping[str, Labels]) -> list[list[int]]:
    """Return the first images of each digit that every model reads correctly, by digit."""
    correct = np.all([each == labels for each in predictions.values()], axis=0)
    return [np.flatnonzero(correct & (labels == digit))[:EXAMPLES].tolist() for digit in range(10)]


def data(
    images: NDArray[np.uint8], labels: Labels, predictions: Mapping[str, Labels]
) -> dict[str, Any]:
    """Return the images for the page's scripts, of an evaluation set uint8 [n, 28, 28]."""

    def pixels(image: int) -> str:
        return base64.b64encode(images[image].tobytes()).decode()

    found = misread(labels, predictions)
    shown: list[Misread] = []
    for name in get_args(Group):
        shown += [each for each in found if each.group == name][:MOST_IN_GROUP]
    return {
        "misread": [asdict(each) | {"pixels": pixels(each.image)} for each in shown],
        "groups": {name: sum(each.group == name for each in found) for name in get_args(Group)},
        "examples": [
            [{"image": image, "pixels": pixels(image)} for image in of_digit]
            for of_digit in examples(labels, predictions)
        ],
    }
