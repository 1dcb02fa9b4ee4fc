"""A recipe for tests, and others that differ from it."""

from study.recipes.recipe import Recipe
from study.training.trainer import initialize
from study.training.weights_file import to_safetensors

VALUES: dict[str, object] = {
    "seed": 1,
    "epochs": 15,
    "batch_size": 128,
    "learning_rate": 0.01,
    "scheduler": "constant",
    "warmup_fraction": 0,
    "momentum": 0.9,
    "weight_decay": 0,
    "ema_decay": 0,
    "dropout": 0.1,
    "rotation": 0,
    "translation": 0,
    "scaling": 0,
    "elastic": 0,
    "augmentation_anneal": 0,
    "interpolation": "nearest",
    "train_images": 60000,
    "validation_images": 0,
    "device": "cpu",
}
"""As in params.yaml."""


def recipe(**values: object) -> Recipe:
    """Return the recipe of VALUES with others in their place."""
    return Recipe.parse(VALUES | values)


def untrained(model: str) -> bytes:
    """Return the weights file of a model before its training."""
    weights = initialize(model, recipe()).state_dict()
    return to_safetensors({name: value.numpy() for name, value in weights.items()})
