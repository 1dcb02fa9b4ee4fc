"""The report, as Markdown: report.md.j2, filled with the values of the study."""

import traceback
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from study.base.errors import UserError
from study.evidence.write_up import WriteUp
from study.reporting import findings, formats, tables
from study.reporting.tables import Evidence, Models

TEMPLATE = Path(__file__).with_name("report.md.j2")
FILTERS = (
    formats.cell,
    formats.estimate,
    formats.interval,
    formats.listed,
    formats.number,
    formats.p_equals,
    formats.p_value,
    formats.signed,
    formats.title,
    findings.mean_and_sd,
    findings.number_name,
    tables.check_text,
    tables.decimals,
    tables.difference_text,
    tables.p_corrected,
)


def render(
    models: Models, evidence: Evidence, published: WriteUp, template: Path = TEMPLATE
) -> str:
    """Return the whole report; its figures are in figures/ next to it.

    Raises UserError, which names the line, for a mistake in the template.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters.update({each.__name__: each for each in FILTERS})
    values = {
        "models": models,
        "evidence": evidence,
        "published": published,
        "findings": findings,
        "row": formats.row,
        "tables": tables,
    }
    try:
        return environment.get_template(template.name).render(values)
    except TemplateError as error:
        # The innermost line of the template; its includes and macros are frames, too.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(template)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else 1)
        name = f"study/reporting/{template.name}"
        raise UserError(
            f"{name} line {line}: {error.message}; correct it, or `git restore {name}`"
        ) from None
