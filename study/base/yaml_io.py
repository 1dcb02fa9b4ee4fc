"""Text into values: YAML, and values of a type. A mistake is one line that names the file."""

from typing import TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from study.base.errors import UserError, quote

T = TypeVar("T")


def compose(name: str, text: str) -> yaml.Node | None:
    """Return what the text of the YAML file `name` is made of, if of anything. Raises UserError."""
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise not_yaml(name, error) from None


def from_yaml(kind: type[T], name: str, text: str) -> T:
    """Return what the text of the YAML file `name` says, as a `kind`. Raises UserError."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise not_yaml(name, error) from None
    return typed(kind, name, data)


def typed(kind: type[T], name: str, data: object) -> T:
    """Return `data`, plain values read from the file `name`, as a `kind`. Raises UserError."""
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "all of it"
        raise UserError(
            f"{name}: {key}: {first['msg']}, found {quote(first['input'])}; mend it or"
            " `git restore` it"
        ) from None


def not_yaml(name: str, error: Exception) -> UserError:
    """Return what to tell the user of a file that is no YAML."""
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark else ""
    return UserError(f"{name}{where}: not YAML; mend it or `git restore` it")
