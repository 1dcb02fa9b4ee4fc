from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from study.base.checks import check
from study.base.yaml_io import requirement
from tests.errors import message_of


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(default=1, ge=1, lt=10)
    rate: float = Field(gt=0, le=0.5)
    mode: Literal["fast", "slow"] = "fast"
    name: str = "model_1"


def test_check_reads_text_and_values_alike() -> None:
    """`dvc exp run -S train.learning_rate=1e-5` writes text: YAML's numbers have a point."""
    expected = Settings(steps=2, rate=1e-5, mode="slow", name="3")
    assert check(Settings, {"steps": 2, "rate": 1e-5, "mode": "slow", "name": 3}, "") == expected
    assert check(Settings, {"steps": "2.0", "rate": "1e-5", "mode": "slow", "name": "3"}, "") == (
        expected
    )
    assert check(Settings, {"steps": 2.0, "rate": "0.00001", "mode": "slow", "name": "3"}, "") == (
        expected
    )


@pytest.mark.parametrize(
    ("key", "requirement_in_words"),
    [
        ("steps", "an integer in [1, 10)"),
        ("rate", "a number in (0, 0.5]"),
        ("mode", "fast or slow"),
        ("name", "text"),
    ],
)
def test_requirement_states_type_and_range(key: str, requirement_in_words: str) -> None:
    assert requirement(Settings.model_json_schema()["properties"][key]) == requirement_in_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2, "2"),
        (True, "true"),
        (None, "nothing"),
        ("", "''"),
        ("abc", "abc"),
        ("a\nb\x1b[2J", "a b\\x1b[2J"),
        (99 * "9", f"{59 * '9'}…"),
        ([1], "[1]"),
        ({"a": 1}, "{'a': 1}"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_check_names_key_rule_and_value_on_one_line(value: object, shown: str) -> None:
    message = complaint({"rate": value})
    assert message == f"file.yaml: part.rate must be a number in (0, 0.5], got {shown}"
    assert message.isprintable()


def test_check_names_an_unknown_key_and_the_known_ones() -> None:
    message = complaint({"rate": 0.1, "mood\n": "fast"})
    assert message.startswith("file.yaml: part.mood ")
    assert "steps, rate, mode, name" in message


def test_check_names_a_misspelled_key_as_it_was_written() -> None:
    assert complaint({"rat": 0.1}).startswith("file.yaml: part.rat ")


def test_check_names_a_missing_key_and_its_rule() -> None:
    message = complaint({"steps": 1})
    assert message.startswith("file.yaml: part.rate ")
    assert "missing" in message
    assert "(0, 0.5]" in message


def complaint(values: dict[str, object]) -> str:
    return message_of(lambda: check(Settings, values, "file.yaml: part."))
