"""Formats of names and numbers in the report and its figures."""

import math
import re
from collections.abc import Iterable

MISSING = "–"
"""Shown for a value that is absent or not a number."""


def title(name: str) -> str:
    """Return the name of a model or configuration as text: `Model 4 deeper` for `model_4_deeper`.

    Any name works: `resnet_tiny` becomes `Resnet tiny`, `MLP-2x` becomes `MLP 2x`.
    """
    words = " ".join(re.split("[_-]+", name.strip("_-")))
    return re.sub(r"\bmodel (?=\d)", "Model ", words[:1].upper() + words[1:])


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number with thousands separators and a true minus sign; a dash if it is missing."""
    if value is None or not math.isfinite(value):
        return MISSING
    # Equal values may differ in their last bits, and must not be rounded in different directions.
    rounded = round(round(value, 9), decimals) + 0.0
    return f"{rounded:,.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 2) -> str:
    """Return a difference with its sign; a dash if it is missing."""
    written = number(value, decimals)
    return f"+{written}" if written[0].isdigit() else written


def decimals_apart(values: Iterable[float], limits: Iterable[float], decimals: int) -> int:
    """Return how many decimals show on which side of the limits values are: these or one more."""
    limits = {round(limit, decimals) for limit in limits}
    return decimals + any(round(value, decimals) in limits for value in values)


def interval(bounds: tuple[float, float] | None, decimals: int = 2, sign: bool = False) -> str:
    """Return the bounds of an interval: `98.42 to 98.87`; a dash if it is missing."""
    if bounds is None:
        return MISSING
    low, high = (signed(each, decimals) if sign else number(each, decimals) for each in bounds)
    return f"{low} to {high}"


def estimate(
    value: float | None,
    bounds: tuple[float, float] | None,
    decimals: int = 2,
    sign: bool = False,
) -> str:
    """Return a value and, in parentheses, its interval if it has one: `98.65 (98.42 to 98.87)`."""
    written = signed(value, decimals) if sign else number(value, decimals)
    between = interval(bounds, decimals, sign)
    return written if between == MISSING else f"{written} ({between})"


def p_value(p: float | None) -> str:
    """Return a p-value with three decimals, or `< 0.001`; a dash if it is missing."""
    return "< 0.001" if p is not None and p < 0.001 else number(p, 3)


def three_digits(p: float) -> str:
    """Return a p-value above 0 with three significant digits: which side of 0.05 it is on shows."""
    return number(p, 2 - math.floor(math.log10(p)))


def p_equals(p: float | None) -> str:
    """Return a p-value for use in a sentence: `p = 0.035`, `p < 0.001`."""
    written = p_value(p)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def cell(text: str) -> str:
    """Return a text for a cell of a Markdown table: on one line, with bars escaped."""
    return " ".join(text.split()).replace("|", r"\|")


def listed(words: list[str]) -> str:
    """Return words as a list for use in a sentence: `a, b and c`, or `none`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "none"


def row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
