"""One reader for params.yaml, experiments.yaml, claims.yaml and the rest."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from study.base.yaml_io import from_yaml, load
from tests.errors import message_of


def even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rate: float = Field(default=0.0, ge=0, le=0.99)
    seed: Annotated[int, AfterValidator(even)] = Field(default=0, ge=0, lt=2**32)
    device: Literal["cpu", "cuda"] = "cpu"
    default: bool = False
    limit: float | None = Field(default=None, gt=0)
    seeds: list[int] = Field(default=[1], min_length=1)


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: list[Part]
    by_name: dict[str, Part] = {}


def test_from_yaml_returns_typed_values() -> None:
    whole = from_yaml(Whole, "x.yaml", "parts: [{rate: 1e-1, device: cuda}]\nby_name: {a: {}}")
    assert whole == Whole(parts=[Part(rate=0.1, device="cuda")], by_name={"a": Part()})


@pytest.mark.parametrize(
    ("text", "line", "key", "rule", "value"),
    [
        ("parts:\n- rate: 1.5", 2, "parts.0.rate", "a number in [0, 0.99]", "1.5"),
        ("parts:\n- rate:", 2, "parts.0.rate", "a number in [0, 0.99]", "nothing"),
        ("parts:\n- seed: 0\n- seed: -2", 3, "parts.1.seed", "integer in [0, 4294967296)", "-2"),
        ("parts: [{seed: 1}]", 1, "parts.0.seed", "even", "1"),
        ("parts: []\nby_name:\n  a:\n    device: gpu", 4, "by_name.a.device", "cpu or cuda", "gpu"),
        ("parts:\n- default: 3", 2, "parts.0.default", "true or false", "3"),
        ("parts:\n- limit: 0", 2, "parts.0.limit", "a number in (0, inf)", "0"),
        ("parts:\n- seeds: []", 2, "parts.0.seeds", "a list of at least 1", "[]"),
        ("parts: 3", 1, "parts", "a list", "3"),
        ("[]", 1, "the file", "keys", "[]"),
    ],
)
def test_from_yaml_names_line_key_rule_and_value(
    text: str, line: int, key: str, rule: str, value: str
) -> None:
    message = complaint(text)
    assert message.startswith(f"x.yaml line {line}: {key} must be ")
    assert rule in message
    assert message.endswith(f", got {value}")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("parts:\n- rat: 1", ("line 2", "parts.0.rat", "rate, seed, device")),
        ("by_name: {}", ("line 1", "parts", "missing")),
        ("by_name: {}\npart: []", ("line 2", "part", "parts, by_name")),
        ("parts: []\n\nparts: []", ("line 3", "parts", "duplicate")),
        ("parts:\n- rate: 1\n  rate: 2", ("line 3", "rate", "duplicate")),
        ("parts: []\nby_name: [", ("line 2", "YAML", "`git restore x.yaml`")),
        ("parts: 2001-99-99", ("YAML", "`git restore x.yaml`")),
        ("parts: !!int", ("YAML", "`git restore x.yaml`")),
        ("parts: !!bool 3", ("YAML", "`git restore x.yaml`")),
        ("parts: !!timestamp 3", ("YAML", "`git restore x.yaml`")),
        ("parts: " + "[" * 1000, ("YAML", "`git restore x.yaml`")),
        ("parts: &a [*a]", ("line 1", "parts.0")),
        ("", ("empty", "`git restore x.yaml`")),
    ],
)
def test_from_yaml_names_what_is_wrong_with_the_file(text: str, parts: tuple[str, ...]) -> None:
    message = complaint(text)
    assert message.startswith("x.yaml")
    assert all(part in message for part in parts), message
    assert message.isprintable()


def test_from_yaml_names_a_key_that_is_not_text() -> None:
    message = complaint("null: 1\n", dict[str, Any])
    assert all(part in message for part in ("x.yaml line 1: ", "text", "nothing")), message


def test_document_knows_the_line_of_each_value() -> None:
    document = load("x.yaml", "a:\n- b: 1\n\n  c: [2,\n  3]\n")
    assert document.data == {"a": [{"b": 1, "c": [2, 3]}]}
    assert [document.at(*path) for path in (("a",), ("a", 0), ("a", 0, "c"), ("a", 0, "c", 1))] == [
        f"x.yaml line {line}" for line in (1, 2, 4, 5)
    ]
    assert document.at("a", 0, "absent", "below") == "x.yaml line 2"


def test_document_reads_aliases_once() -> None:
    bomb = "a: &a [1]\n" + "".join(
        f"{name}: &{name} [*{before}, *{before}, *{before}]\n"
        for before, name in zip("abcdefghijklmnopqrstuvw", "bcdefghijklmnopqrstuvwx", strict=True)
    )
    assert len(load("x.yaml", bomb).lines) < 100


def complaint(text: str, kind: Any = Whole) -> str:
    return message_of(lambda: from_yaml(kind, "x.yaml", text))
