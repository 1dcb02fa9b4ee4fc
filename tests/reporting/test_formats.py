import math

import pytest

from study.reporting import formats


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model_1", "Model 1"),
        ("model_4_deeper", "Model 4 deeper"),
        ("model-2-better-than-model-1", "Model 2 better than Model 1"),
        ("model-4-dropout-7.5", "Model 4 dropout 7.5"),
        ("resnet_tiny", "Resnet tiny"),
        ("MLP_2x", "MLP 2x"),
        ("_", ""),
    ],
)
def test_title_of_any_name_is_readable(name: str, text: str) -> None:
    assert formats.title(name) == text


def test_number_has_separators_a_minus_sign_and_no_negative_zero() -> None:
    assert formats.number(14620, 0) == "14,620"
    assert formats.number(-0.256, 2) == "−0.26"
    assert formats.number(-0.001, 2) == "0.00"
    assert formats.signed(-0.001, 2) == "+0.00"
    assert formats.signed(-7380, 0) == "−7,380"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_missing_values_are_dashes(value: float | None) -> None:
    assert formats.number(value) == formats.signed(value) == formats.p_value(value) == "–"
    assert formats.estimate(value, None) == "–"


def test_estimate_has_its_interval_if_there_is_one() -> None:
    assert formats.estimate(98.646, (98.423, 98.868)) == "98.65 (98.42 to 98.87)"
    assert formats.estimate(-0.1, (-0.3, 0.109), 3, sign=True) == "−0.100 (−0.300 to +0.109)"
    assert formats.estimate(98.646, None) == "98.65"


def test_p_value_has_as_many_decimals_as_matter() -> None:
    assert [formats.p_value(p) for p in (1, 0.0066, 0.001)] == ["1.000", "0.007", "0.001"]
    assert formats.p_value(0.000999) == "< 0.001"
    assert formats.p_equals(0.0066) == "p = 0.007"
    assert formats.p_equals(0.0001) == "p < 0.001"


def test_cell_keeps_a_table_in_shape() -> None:
    assert formats.row(formats.cell("a | b\nc"), "d") == r"| a \| b c | d |"


def test_listed_reads_as_a_sentence() -> None:
    assert formats.listed(["a", "b", "c"]) == "a, b and c"
    assert formats.listed(["a", "b"]) == "a and b"
    assert formats.listed(["a"]) == "a"
    assert formats.listed([]) == "none"
