"""Pages of docs/, or parts of them, that are written from measurements."""

from pathlib import Path

from jinja2 import Environment, StrictUndefined


def render(template: Path, **values: object) -> str:
    """Return the text of a Jinja template, filled with values."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template.read_text("utf-8")).render(values)


def insert(text: str, module: str, part: str) -> str:
    """Return a page with the part that a module writes replaced: the lines between its markers."""
    before, begin, rest = text.partition(f"<!-- written by python -m {module} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    return before + begin + part + end + after
