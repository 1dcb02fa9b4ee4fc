"""Values against the fields of a pydantic model. A mistake is one line that names the key."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from study.base.errors import UserError
from study.base.yaml_io import first_mistake, rule

Model = TypeVar("Model", bound=BaseModel)


def check(kind: type[Model], values: Mapping[str, object], where: str) -> Model:
    """Return `values` as a `kind`. Text is read as its field asks: DVC writes `1e-5` as a string.

    `where` precedes a key in an error, such as `params.yaml: train.`. Raises UserError with one
    line for the first value that is not allowed, or key that is missing or unknown.
    """
    try:
        # Text in all cases: `true` is not a number, and null is not a word.
        return kind.model_validate({key: str(value) for key, value in values.items()})
    except ValidationError as error:
        mistake = first_mistake(error)
    mistake["input"] = values.get(str(mistake["loc"][0]))  # as it was before `str`
    raise UserError(f"{where}{rule(mistake, kind.model_json_schema())}")
