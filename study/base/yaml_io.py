"""YAML files into checked values. A mistake is one line that names the file, the line and the key.

`load` keeps the line of each value, for rules that a type cannot express; `from_yaml` is the short
way if a type says it all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from study.base.errors import UserError, quote

T = TypeVar("T")
Path = tuple[str | int, ...]
"""Keys and indices that lead to a value."""

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument", "invalid_key")
"""What pydantic calls it, in models and in dataclasses."""


@dataclass(frozen=True)
class Document:
    """The plain values in a YAML file."""

    name: str
    """Name of the file."""
    data: Any
    """None for an empty file."""
    lines: Mapping[Path, int]
    """Line of each value, from 1; for a value in a mapping, that of its key."""

    def at(self, *path: str | int) -> str:
        """Return where a value is: `claims.yaml line 12`. For a missing one, where it belongs."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name} line {self.lines[path]}" if path in self.lines else self.name

    def to(self, kind: type[T]) -> T:
        """Return the values as a `kind`, which pydantic knows. Raises UserError."""
        if self.data is None:
            raise UserError(f"{self.name}: is empty; `git restore {self.name}` restores it")
        return typed(kind, self.data, self.at)


def from_yaml(kind: type[T], name: str, text: str) -> T:
    """Return the values in the text of the YAML file `name` as a `kind`. Raises UserError."""
    return load(name, text).to(kind)


def load(name: str, text: str) -> Document:
    """Return the values in the text of the YAML file `name`.

    Raises UserError if it is not valid YAML or if a key occurs twice in a mapping.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines: dict[Path, int] = {}
        if root is not None:
            _add_lines(lines, name, root, (), root.start_mark.line + 1, set())
        return Document(name, root and loader.construct_document(root), lines)
    # PyYAML raises any of these for a value that is not of its tag, such as `!!bool 3`.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{name}{where}: not valid YAML; fix it or `git restore {name}`") from None


def _add_lines(
    lines: dict[Path, int], name: str, node: yaml.Node, path: Path, line: int, seen: set[int]
) -> None:
    """Record the line of a node and of all below it. Raises UserError for a duplicate key."""
    lines[path] = line
    if id(node) in seen:  # an alias: its anchor can be above it
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _add_lines(lines, name, item, (*path, index), item.start_mark.line + 1, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if (*path, key.value) in lines:
                raise UserError(f"{name} line {line}: duplicate key {quote(key.value)}; remove one")
            _add_lines(lines, name, value, (*path, key.value), line, seen)


def typed(kind: type[T], data: object, at: Callable[..., str]) -> T:
    """Return plain values as a `kind`, which pydantic knows.

    `at` returns where the value at a path is, such as `params.yaml line 3`. Raises UserError for
    the first value that is not allowed.
    """
    adapter = TypeAdapter(kind)
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        first = first_mistake(error)
        raise UserError(f"{at(*first['loc'])}: {rule(first, adapter.json_schema())}") from None


def first_mistake(error: ValidationError) -> ErrorDetails:
    """Return the mistake to name.

    A key that is misspelled is unknown, and the right one is missing: the former says more.
    """
    return min(error.errors(), key=lambda each: each["type"] not in UNKNOWN_KEY)


def rule(error: ErrorDetails, schema: dict[str, Any]) -> str:
    """Return which rule a value breaks: `dropout must be a number in [0, 0.99], got 1.5`."""
    path = error["loc"]
    key = quote(".".join(map(str, path))) if path else "the file"
    if path and path[-1] == "[key]":
        return f"a key must be text, got {shown(error['input'])}"
    if error["type"] == "missing":
        return f"{key} is missing; it must be {requirement(_below(schema, path))}"
    if error["type"] in UNKNOWN_KEY:
        known = _below(schema, path[:-1]).get("properties", {})
        return f"{key} is not a known key; use one of {', '.join(known)}"
    if error["type"] == "value_error":  # the words of a validator
        broken = str(error["ctx"]["error"])
    else:
        broken = f"must be {requirement(_below(schema, path))}"
    return f"{key} {broken}, got {shown(error['input'])}"


def _below(schema: dict[str, Any], path: Any) -> dict[str, Any]:
    """Return the part of a JSON schema that is about the value at a path."""

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        part = next((each for each in part.get("anyOf", ()) if each.get("type") != "null"), part)
        name = part.get("$ref", "").rpartition("/")[2]
        return dict(schema["$defs"][name]) if name else part

    found = resolved(schema)
    for step in path:
        inside = found.get("properties", {}).get(step) if isinstance(step, str) else None
        found = resolved(inside or found.get("items") or found.get("additionalProperties") or {})
    return found


def requirement(schema: Mapping[str, Any]) -> str:
    """Return in words what a JSON schema allows: `an integer in [1, 1000]`, `cpu or cuda`."""
    if "enum" in schema:
        *others, last = map(str, schema["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    kind = {
        "integer": "an integer",
        "number": "a number",
        "string": "text",
        "boolean": "true or false",
        "array": "a list",
        "object": "a mapping of keys to values",
    }.get(schema.get("type", ""), "another value")
    if schema.get("minItems"):
        kind += f" of at least {schema['minItems']}"
    low = _bound("[", schema.get("minimum")) or _bound("(", schema.get("exclusiveMinimum"))
    high = _bound("]", schema.get("maximum")) or _bound(")", schema.get("exclusiveMaximum"))
    return f"{kind} in {low or '(-inf'}, {high or 'inf)'}" if low or high else kind


def _bound(bracket: str, value: float | None) -> str:
    """Return one end of an interval, `[0` or `0.99]`; nothing without a value."""
    if value is None:
        return ""
    number = (
        f"{value:g}" if isinstance(value, float) and not value.is_integer() else f"{int(value)}"
    )
    return f"{bracket}{number}" if bracket in "[(" else f"{number}{bracket}"


def shown(value: object) -> str:
    """Return a value as YAML writes it, on one line."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return quote(value)
