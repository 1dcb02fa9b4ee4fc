"""The recipe of a model: the values that determine its training, validated before use."""

import math
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from study.base.checks import check
from study.base.errors import UserError

TRAINING_IMAGES = 60_000


class Recipe(BaseModel):
    """Everything besides architecture and images that determines a model's weights.

    The descriptions are the comments of params.yaml.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(
        ge=0,
        le=2**32 - 1,
        description="Seed of initialization, image order, dropout and augmentation",
    )
    epochs: int = Field(ge=1, le=1000, description="Passes over the training images")
    batch_size: int = Field(ge=1, le=TRAINING_IMAGES, description="Images per step")
    learning_rate: float = Field(
        gt=0, le=1000, description="Learning rate of SGD; the peak value of one_cycle"
    )
    scheduler: Literal["constant", "one_cycle"] = Field(
        description="Learning-rate schedule; one_cycle rises linearly, then falls to 0"
    )
    warmup_fraction: float = Field(
        ge=0, lt=1, description="Fraction of the steps during which one_cycle rises"
    )
    momentum: float = Field(ge=0, lt=1, description="Momentum of SGD")
    weight_decay: float = Field(
        ge=0, le=1, description="Weight decay of the convolutions, as in torch.optim.SGD"
    )
    ema_decay: float = Field(
        ge=0,
        lt=1,
        description="Decay of the moving average (EMA) that replaces the weights; 0 for none",
    )
    dropout: float = Field(ge=0, le=0.99, description="Probability of zeroing an activation")
    rotation: float = Field(ge=0, le=180, description="Maximum rotation of an image, in degrees")
    translation: float = Field(ge=0, le=28, description="Maximum shift along each axis, in pixels")
    scaling: float = Field(
        ge=0, lt=1, description="Maximum change of size, as a fraction of the size"
    )
    elastic: float = Field(
        ge=0, le=28, description="Maximum displacement of the elastic control points, in pixels"
    )
    augmentation_anneal: float = Field(
        ge=0,
        le=1,
        description="Fraction of the epochs, at the end, over which augmentation decays to 0",
    )
    interpolation: Literal["nearest", "bilinear"] = Field(
        description="Interpolation of augmented pixels"
    )
    train_images: int = Field(
        ge=1,
        le=TRAINING_IMAGES,
        description="Number of training images to use, counted from the first",
    )
    validation_images: int = Field(
        ge=0,
        lt=TRAINING_IMAGES,
        description="Number of last training images to evaluate on instead of the test set",
    )
    device: Literal["cpu", "cuda"] = Field(
        description="Where to train; cuda (an NVIDIA GPU) gives slightly different results from cpu"
    )

    @classmethod
    def parse(cls, values: Mapping[str, object], where: str = "") -> Self:
        """Return the recipe with these values, which may be text. Raises UserError.

        `where` precedes a key in an error, such as `params.yaml: train.`.
        """
        recipe = check(cls, values, where)
        if mistake := recipe.contradiction():
            raise UserError(f"{where}{mistake}")
        return recipe

    @property
    def augments(self) -> bool:
        """Whether training images are changed at all."""
        return bool(self.rotation or self.translation or self.scaling or self.elastic)

    def contradiction(self) -> str | None:
        """Return a message about the first value that contradicts another one, if any."""
        available = TRAINING_IMAGES - self.validation_images
        images = min(self.train_images, available)
        if self.batch_size > images:
            limit = (
                f"{TRAINING_IMAGES} - validation_images"
                if available < self.train_images
                else "train_images"
            )
            return f"batch_size must be at most {limit} = {images}, got {self.batch_size}"
        if self.augmentation_anneal and not self.augments:
            return (
                "augmentation_anneal must be 0 without rotation, translation, scaling or elastic,"
                f" got {self.augmentation_anneal}"
            )
        if self.warmup_fraction and self.scheduler == "constant":
            return f"warmup_fraction must be 0 with scheduler constant, got {self.warmup_fraction}"
        steps = self.epochs * math.ceil(images / self.batch_size)
        if self.scheduler == "one_cycle" and steps == 1:
            return "scheduler must be constant if there is one step, got one_cycle"
        return None
