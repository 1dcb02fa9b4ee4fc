"""params.yaml as a whole: nothing mistyped, nothing out of range, nothing that no stage reads."""

import math
import re
from collections.abc import Collection, Iterator, Mapping

import yaml

from study.base.errors import UserError, quote
from study.base.yaml_io import compose
from study.recipes.recipe import Recipe

DEPTH = 10
"""Of keys below keys, at most: an alias of what it stands in goes on for ever."""


def check(parameters: str, pipeline: str, models: Collection[str]) -> None:
    """Check the text of params.yaml against that of dvc.yaml and the models that exist.

    A key counts as known when dvc.yaml reads it as `${key}`. The last part of a key says what it
    may be: `models.model_5.epochs` is held to the bounds of a recipe's `epochs`. Raises UserError.
    """
    values = read_values(parameters)
    read = set(re.findall(r"\$\{([\w.]+)\}", pipeline)) - {"key", "item"}
    for key, value in values.items():
        if key not in read:
            known = ", ".join(sorted(read))
            raise UserError(
                f"params.yaml: {quote(key)} = {quote(value)}: no stage reads it; known: {known}"
            )
    for key in sorted(read - values.keys()):
        raise UserError(f"params.yaml: {key} is missing; dvc.yaml reads it: give it a value")

    train = children(values, "train.")
    Recipe.parse(train, "params.yaml: train.")
    for model in models:
        prefix = f"models.{model}."
        if own := children(values, prefix):
            if "validation_images" in own:
                raise UserError(
                    f"params.yaml: {prefix}validation_images: all models are evaluated on the same images;"
                    " give train.validation_images"
                )
            Recipe.parse(train | own, f"params.yaml: {prefix}")
    equivalence_margin(values["equivalence_margin"])
    if (candidate := values["candidate"]) not in models:
        raise UserError(
            f"params.yaml: candidate = {quote(candidate)}: give one of {', '.join(models)}"
        )


def equivalence_margin(value: object) -> float:
    """Return a margin in points of accuracy, given as a number or as text. Raises UserError."""
    try:
        margin = float(str(value))
    except ValueError:
        margin = math.nan
    if not 0 < margin <= 100:
        raise UserError(
            f"params.yaml: equivalence_margin = {quote(value)}: give a number, above 0, at most 100"
        )
    return margin


def read_values(parameters: str) -> dict[str, str]:
    """Return every value in the text of params.yaml as it is written, by its dotted key.

    Raises UserError for what is no YAML, or has a key twice, of which YAML's readers take the last.
    """
    root = compose("params.yaml", parameters)
    if not isinstance(root, yaml.MappingNode):
        raise UserError("params.yaml: holds no keys; `git restore params.yaml` brings them back")
    values: dict[str, str] = {}
    for key, node in leaves(root):
        if key in values:
            line = node.start_mark.line + 1
            raise UserError(f"params.yaml line {line}: {quote(key)}: stands here twice; remove one")
        values[key] = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    return values


def places(values: Mapping[str, object], model: str) -> dict[str, str]:
    """Where each value of a model's recipe stands: `models.M.epochs`, or `train.epochs` for all."""
    own = {key: f"models.{model}.{key}" for key in Recipe.model_fields}
    return {key: place if place in values else f"train.{key}" for key, place in own.items()}


def recipe(values: Mapping[str, object], model: str) -> Recipe:
    """Return a model's recipe out of the values of params.yaml, by dotted key. Raises UserError."""
    return Recipe.parse({key: values[place] for key, place in places(values, model).items()})


def leaves(tree: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, yaml.Node]]:
    """Every value that is no mapping, with its dotted key."""
    for name, value in tree.value:
        key = f"{prefix}{name.value if isinstance(name, yaml.ScalarNode) else '?'}"
        if isinstance(value, yaml.MappingNode) and value.value and prefix.count(".") < DEPTH:
            yield from leaves(value, f"{key}.")
        else:
            yield key, value


def children(values: Mapping[str, object], prefix: str) -> dict[str, object]:
    """The values whose key starts with `prefix`, without it."""
    return {
        key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)
    }
