"""params.yaml as a whole: the recipe of each model, and what is compared."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from study.base.checks import check
from study.base.errors import UserError, quote
from study.base.yaml_io import from_yaml
from study.recipes.recipe import Recipe

NAME = "params.yaml"


class Comparison(BaseModel):
    """What is compared with what. The descriptions are the comments of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    equivalence_margin: float = Field(
        gt=0,
        le=100,
        description="Difference up to which two true mean accuracies are equivalent, in points",
    )
    candidate: str = Field(
        description="Model whose metrics go to metrics/candidate.json, for `dvc metrics diff`"
    )


@dataclass(frozen=True)
class Params:
    """The values of params.yaml, checked."""

    models: Mapping[str, Recipe]
    """The recipe in effect for each model, in the order of the file."""
    places: Mapping[str, Mapping[str, str]]
    """By model and key, the name under which `dvc exp run -S` knows a value: `models.M.epochs` if
    the model has its own, or `train.epochs`."""
    equivalence_margin: float


def read(text: str, available: Collection[str]) -> Params:
    """Return the values in the text of params.yaml; `available` are the models with a file.

    Raises UserError, which names the key, for a value or a model that is unknown, missing or not
    allowed.
    """
    data = from_yaml(dict[str, Any], NAME, text)
    for key in ("train", "models"):
        if key not in data:
            raise UserError(f"{NAME}: {key} is missing; `git restore {NAME}` restores it")
    train, listed = mapping("train", data.pop("train")), mapping("models", data.pop("models"))
    comparison = check(Comparison, data, f"{NAME}: ")
    check_list(listed, available)
    if comparison.candidate not in listed:
        raise UserError(
            f"{NAME}: candidate must be one of {', '.join(listed)},"
            f" got {quote(comparison.candidate)}"
        )
    Recipe.parse(train, f"{NAME}: train.")
    models, places = {}, {}
    for name, values in listed.items():
        own = mapping(f"models.{name}", values)
        if "validation_images" in own:
            raise UserError(
                f"{NAME}: models.{name}.validation_images must be under `train`: models are"
                " compared on the same images"
            )
        models[name] = Recipe.parse(train | own, f"{NAME}: models.{name}.")
        places[name] = {
            key: f"models.{name}.{key}" if key in own else f"train.{key}" for key in train
        }
    return Params(models, places, comparison.equivalence_margin)


def mapping(key: str, value: object) -> dict[str, Any]:
    """Return the keys and values under a key; none if nothing is there. Raises UserError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{NAME}: {key} must be a mapping of keys to values, got {quote(value)}")
    return {str(name): each for name, each in value.items()}


def check_list(listed: Collection[str], available: Collection[str]) -> None:
    """Raise UserError unless each model has a line in params.yaml and a file in models/."""
    if not listed:
        raise UserError(f"{NAME}: models must list at least one model, such as `model_1: {{}}`")
    for name in listed:
        if name not in available:
            raise UserError(
                f"{NAME}: models.{quote(name)} has no file; write models/{quote(name)}.py,"
                f" or remove the line"
            )
    for name in available:
        if name not in listed:
            raise UserError(
                f"{NAME}: models/{name}.py has no line; add `{name}: {{}}` under `models`,"
                " or remove the file"
            )
