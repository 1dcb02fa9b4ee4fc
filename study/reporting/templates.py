"""Filling in the project's Jinja templates."""

import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from study.base.errors import UserError


def render(
    template: Path,
    values: Mapping[str, Any],
    filters: Iterable[Callable[..., object]] = (),
    *,
    autoescape: bool,
) -> str:
    """Return the text of a template, filled with values; `filters` go by their own names.

    `autoescape` is for HTML. Raises UserError, which names the line, for a mistake in the template.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,
    )
    environment.filters.update({each.__name__: each for each in filters})
    try:
        return environment.get_template(template.name).render(values)
    except TemplateError as error:
        # The innermost line of the template; its macros are frames, too.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(template)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else 1)
        name = os.path.relpath(template)
        raise UserError(
            f"{name} line {line}: {error.message}; correct it, or `git restore {name}`"
        ) from None
