"""The report, as Markdown: report.md.j2, filled with the values of the study."""

from pathlib import Path

from study.evidence.judging import PLAN
from study.evidence.write_up import WriteUp
from study.reporting import findings, formats, tables, templates
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
    findings.check_text,
    findings.mean_and_sd,
    findings.number_decimals,
    findings.number_name,
    tables.decimals,
    tables.difference_text,
    tables.p_corrected,
)


def render(models: Models, evidence: Evidence, published: WriteUp) -> str:
    """Return the whole report; its figures are in figures/ next to it."""
    values = {
        "models": models,
        "evidence": evidence,
        "findings": findings.findings(
            evidence.verdicts,
            evidence.configurations,
            evidence.final,
            published,
            evidence.descriptions,
        ),
        "plan": PLAN[:7],
        "published": published,
        "row": formats.row,
        "tables": tables,
    }
    return templates.render(TEMPLATE, values, FILTERS, autoescape=False)
