"""recipes/M.yaml: the values in effect for one model, and what else decides the bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from study.base.errors import UserError
from study.base.yaml_io import from_yaml
from study.recipes.recipe import Recipe

DECISIVE = ("torch", "numpy", "numba", "llvmlite")
"""Packages whose version may change a bit of the weights; llvmlite is Numba's compiler."""
HEAD = "# Written by the stage `recipes`; edit params.yaml instead.\n"


@dataclass(frozen=True)
class Written:
    """The part of a recipe file that says what it was written with; other keys are ignored."""

    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Return the installed version of each decisive package, without its build (`+cpu`)."""
    return {name: version(name).partition("+")[0] for name in DECISIVE}


def to_yaml(recipe: Recipe, versions: Mapping[str, str]) -> str:
    """Return the text of a recipe file."""
    values = recipe.model_dump() | {"versions": dict(versions)}
    return HEAD + yaml.safe_dump(values, sort_keys=False)


def from_text(name: str, text: str) -> Recipe:
    """Return the recipe in the text of the recipe file `name`.

    Raises UserError if it is damaged, or if other versions are installed than it names: DVC would
    record weights under versions that did not make them.
    """
    values = from_yaml(dict[str, Any], name, text)
    written = values.pop("versions", None)
    if written != (installed := versions()):
        raise UserError(
            f"{name}: written for {described(written)}, but {described(installed)} are installed;"
            " run `dvc repro --force recipes`, then `dvc repro`"
        )
    return Recipe.parse(values, f"{name}: ")


def written_versions(name: str, text: str) -> dict[str, str]:
    """Return the versions in the recipe file `name`. Raises UserError if it is damaged."""
    return from_yaml(Written, name, text).versions


def described(versions: object) -> str:
    """Return versions in words: `torch 2.14.1, numpy 2.4.6`."""
    if not isinstance(versions, dict):
        return "unknown versions"
    return ", ".join(f"{name} {number}" for name, number in versions.items())
