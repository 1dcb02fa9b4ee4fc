"""How a model is trained, as values that are checked before any work."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study.errors import UserError, shown

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
    """Of stochastic gradient descent."""
    momentum: float = Field(ge=0, lt=1)
    """Of stochastic gradient descent."""
    dropout: float = Field(ge=0, lt=1)
    """Probability of an activation to be zeroed."""
    rotation: float = Field(ge=0, le=180)
    """Each image is turned by an angle drawn from ± this many degrees, anew in every epoch."""
    samples: int = Field(ge=1, le=TRAINING_IMAGES)
    """Train on the first so many images."""
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
                raise UserError(f"{prefix}{shown(key)}: unknown; known here: {known}") from None
            value = f" = {shown(values[key])}" if key in values else " is missing"
            raise UserError(f"{prefix}{key}{value}: give {allowed(key)}") from None
        if recipe.batch_size > recipe.samples:
            raise UserError(
                f"{prefix}batch_size = {recipe.batch_size}: give at most samples = {recipe.samples}"
            )
        return recipe


def allowed(key: str) -> str:
    """What a key of the recipe may be, in words: `a whole number, at least 1, at most 1000`."""
    field = Recipe.model_fields[key]
    if field.annotation not in (int, float):
        return "cpu or cuda"
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
