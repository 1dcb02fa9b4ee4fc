"""The generated parts of README.md. `make readme` inserts them, with cog."""

import csv
import io
from collections import Counter
from pathlib import Path

from study.base.files import read_text
from study.evidence import configurations, verdicts, write_up
from study.reporting.formats import number, row, title

ACCURACY = Path("reports/data/accuracy.csv")
CLAIMS = Path("metrics/claims.json")
EXPERIMENTS = Path("experiments.yaml")
REFERENCE = Path("reference/write_up.yaml"), Path("reference/epochs.csv")

Statistics = dict[str, str]
"""A row of reports/data/accuracy.csv: one configuration over its seeds."""


def findings() -> str:
    """Return what the study found, as a Markdown list."""
    every = statistics()
    sds = [float(each["sd"]) for each in every if each["sd"]]
    counts = Counter(claim.verdict for claim in verdicts.from_json(read_text(CLAIMS)))
    final = next(each for each in every if each["configuration"] == plan().final)
    target = write_up.read(*REFERENCE).target
    return "\n".join(
        [
            "- **One run does not rank these models.** Another seed changes the accuracy by"
            f" {number(min(sds))} to {number(max(sds))} points (SD), as much as the differences"
            " between models that the write-up reports.",
            f"- **Most of its {counts.total()} claims stay open**: {counts['supported']} supported,"
            f" {counts['contradicted']} contradicted, {counts['inconclusive']} inconclusive with"
            " the seeds so far.",
            "- **The target that it missed can be reached**: above"
            f" {target.accuracy}% with fewer than {target.parameters:,} parameters."
            f" {title(final['model'])} has {mean_and_sd(final)}% (mean ± SD of {final['n']} seeds)"
            f" with {int(final['parameters']):,} parameters.",
        ]
    )


def results() -> str:
    """Return the table of all models as params.yaml has them, in Markdown."""
    names = plan().descriptions
    order = {name: number for number, name in enumerate(names)}
    rows = [
        row(
            title(each["model"]),
            number(float(each["parameters"]), 0),
            mean_and_sd(each),
            each["n"],
            number(float(each["published"] or "nan")),
        )
        for each in sorted(statistics(), key=lambda each: order[each["configuration"]])
        if each["default"] == "True"
    ]
    head = row("Model", "Parameters", "Accuracy (%), mean ± SD", "Seeds", "Write-up, one run (%)")
    return "\n".join([head, row("---", *4 * ["---:"]), *rows])


def statistics() -> list[Statistics]:
    """Return the statistics of every configuration on the test set."""
    return [*csv.DictReader(io.StringIO(read_text(ACCURACY)))]


def plan() -> configurations.Plan:
    """Return the configurations of experiments.yaml."""
    return configurations.read(read_text(EXPERIMENTS))


def mean_and_sd(each: Statistics) -> str:
    """Return the mean accuracy over seeds, in percent, with the SD between seeds, in points."""
    return f"{number(float(each['accuracy']))} ± {number(float(each['sd'] or 'nan'))}"
