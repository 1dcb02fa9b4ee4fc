"""How a model is trained, as values that are checked before any work."""

import math
from collections.abc import Mapping
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study.base.errors import UserError, quote

TRAINING_IMAGES = 60_000


class Recipe(BaseModel):
    """Everything that decides a model's weights, beside its architecture and the images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(ge=0, lt=2**32)
    """Of initialisation, order, dropout and augmentation."""
    epochs: int = Field(ge=1, le=1000)
    """Passes over the training images."""
    batch_size: int = Field(ge=1, le=TRAINING_IMAGES)
    """Images per step."""
    learning_rate: float = Field(gt=0, le=1000)
    """Of stochastic gradient descent: its highest, if it changes."""
    scheduler: Literal["constant", "one_cycle"]
    """How the learning rate goes from step to step: not at all, or up and down again."""
    warmup_fraction: float = Field(ge=0, lt=1)
    """Share of the steps in which one_cycle goes up."""
    momentum: float = Field(ge=0, lt=1)
    """Of stochastic gradient descent."""
    weight_decay: float = Field(ge=0, le=1)
    """Of the convolutions' weights, in every step, times the learning rate."""
    ema_decay: float = Field(ge=0, lt=1)
    """Keep a moving average of all weights instead of the last ones; 0 keeps the last."""
    dropout: float = Field(ge=0, le=0.99)
    """Probability of an activation to be zeroed, in steps of 1 / 65,536."""
    rotation: float = Field(ge=0, le=180)
    """Each image is turned by an angle drawn from ± this many degrees, anew in every epoch."""
    translation: float = Field(ge=0, le=28)
    """Each image is moved by up to so many pixels, across and along, likewise."""
    scaling: float = Field(ge=0, lt=1)
    """Each image is made larger or smaller by up to this share of its size, likewise."""
    elastic: float = Field(ge=0, le=28)
    """Each of a grid of points pulls the image about by up to so many pixels, likewise."""
    augmentation_anneal: float = Field(ge=0, le=1)
    """Share of the epochs, the last ones, in which these four dwindle, linearly to nothing."""
    interpolation: Literal["nearest", "bilinear"]
    """Where a changed image's pixel comes from: the nearest one, or the four around it."""
    train_images: int = Field(ge=1, le=TRAINING_IMAGES)
    """Train on the first so many images, of those that are not held out."""
    validation_images: int = Field(ge=0, lt=TRAINING_IMAGES)
    """Report on the last so many training images, kept out of training, not on the test set."""
    device: Literal["cpu", "cuda"]

    @classmethod
    def parse(cls, values: Mapping[str, object], prefix: str = "") -> Self:
        """Check `values`, which may be text: DVC writes a changed `1e-5` as a string.

        `prefix` is put before a key that is named in an error, such as `train.`. Raises UserError
        with one line for the first value that is not allowed, or key that is missing or unknown.
        """
        try:
            # Everything goes through text, so that `true` is no number and null no word.
            recipe = cls.model_validate({key: str(value) for key, value in values.items()})
        except ValidationError as error:
            key = str(error.errors()[0]["loc"][0])
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise UserError(f"{prefix}{quote(key)}: unknown; known here: {known}") from None
            value = f" = {quote(values[key])}" if key in values else " is missing"
            raise UserError(f"{prefix}{key}{value}: give {allowed(key)}") from None
        if mistake := recipe.contradiction():
            raise UserError(f"{prefix}{mistake}")
        return recipe

    @property
    def training_images(self) -> int:
        """How many images there are to train on."""
        return min(self.train_images, TRAINING_IMAGES - self.validation_images)

    @property
    def augments(self) -> bool:
        """Whether training images are changed at all."""
        return bool(self.rotation or self.translation or self.scaling or self.elastic)

    def strength(self, epoch: int) -> float:
        """How much of these changes an epoch makes, counted from 0: 1, or a part when they fade.

        The first epoch that makes none would be the one after the last.
        """
        if not self.augmentation_anneal:
            return 1.0
        return min(1.0, (1 - epoch / self.epochs) / self.augmentation_anneal)

    def contradiction(self) -> str | None:
        """Say which value cannot go with another one, if any."""
        if self.batch_size > self.training_images:
            given = (
                f"{TRAINING_IMAGES:,} - validation_images"
                if self.training_images < self.train_images
                else "train_images"
            )
            return f"batch_size = {self.batch_size}: give at most {given} = {self.training_images}"
        if self.augmentation_anneal and not self.augments:
            return (
                f"augmentation_anneal = {self.augmentation_anneal}: give 0, or rotation, translation, scaling or elastic"
                " above 0"
            )
        if self.warmup_fraction and self.scheduler == "constant":
            return f"warmup_fraction = {self.warmup_fraction}: give 0, or scheduler = one_cycle"
        steps = self.epochs * math.ceil(self.training_images / self.batch_size)
        if self.scheduler == "one_cycle" and steps == 1:
            return "scheduler = one_cycle: there is one step; give constant, or more epochs"
        if self.warmup_fraction * steps == 1:
            # PyTorch would divide by the number of steps from the first to the last of these.
            return f"warmup_fraction = {self.warmup_fraction}: one of {steps} steps; give 0, or a larger share"
        return None


def allowed(key: str) -> str:
    """What a key of the recipe may be, in words: `a whole number, at least 1, at most 1000`."""
    field = Recipe.model_fields[key]
    if choices := get_args(field.annotation):
        return " or ".join(choices)
    words = ["a whole number" if field.annotation is int else "a number"]
    for bound in field.metadata:
        for name, phrase in {
            "ge": "at least",
            "gt": "above",
            "le": "at most",
            "lt": "below",
        }.items():
            if hasattr(bound, name):
                words.append(f"{phrase} {getattr(bound, name)}")
    return ", ".join(words)
