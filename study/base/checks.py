"""Values against the fields of a pydantic model. A mistake is one line that names the key."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from study.base import yaml_io
from study.base.errors import UserError, quote
from study.base.yaml_io import shown

Model = TypeVar("Model", bound=BaseModel)


def check(kind: type[Model], values: Mapping[str, object], where: str) -> Model:
    """Return `values` as a `kind`. Text is read as its field asks: DVC writes `1e-5` as a string.

    `where` precedes a key in an error, such as `params.yaml: train.`. Raises UserError with one
    line for the first value that is not allowed, or key that is missing or unknown.
    """
    # A misspelled key is both unknown and missing: it is named as it was written.
    if unknown := [key for key in values if key not in kind.model_fields]:
        known = ", ".join(kind.model_fields)
        raise UserError(f"{where}{quote(unknown[0])} is not a known key; use one of {known}")
    try:
        # Text in all cases: `true` is not a number, and null is not a word.
        return kind.model_validate({key: str(value) for key, value in values.items()})
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
    if key not in values:
        raise UserError(f"{where}{key} is missing; it must be {requirement(kind, key)}")
    raise UserError(f"{where}{key} must be {requirement(kind, key)}, got {shown(values[key])}")


def requirement(kind: type[BaseModel], key: str) -> str:
    """Return what a field may hold, in words: `an integer in [1, 1000]`, `cpu or cuda`."""
    return yaml_io.requirement(kind.model_json_schema()["properties"][key])
