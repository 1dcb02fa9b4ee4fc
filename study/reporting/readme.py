"""The generated parts of README.md. `make readme` inserts them, with cog."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from study.base.files import read_text
from study.evidence import configurations, verdicts, write_up
from study.evidence.verdicts import Verdict
from study.evidence.write_up import Target
from study.reporting.formats import interval, number, row, title

ACCURACY = Path("reports/data/accuracy.csv")
CLAIMS = Path("metrics/claims.json")
EXPERIMENTS = Path("experiments.yaml")
REFERENCE = Path("reference/write_up.yaml"), Path("reference/epochs.csv")

Statistics = dict[str, str]
"""A row of reports/data/accuracy.csv: one configuration over its seeds."""


def findings() -> str:
    """Return what the study found, as a Markdown list."""
    every = statistics()
    parts = [
        seeds_finding(every),
        claims_finding([claim.verdict for claim in verdicts.from_json(read_text(CLAIMS))]),
        target_finding(every, plan().final, write_up.read(*REFERENCE).target),
    ]
    return "\n".join(f"- {part}" for part in parts if part)


def seeds_finding(every: Sequence[Statistics]) -> str | None:
    """Return the range of the SD between seeds; None without two runs of a configuration."""
    sds = [float(each["sd"]) for each in every if each["sd"]]
    if not sds:
        return None
    text = (
        f"**One run has an SD of {interval((min(sds), max(sds)))} points** between seeds, depending"
        " on the configuration."
    )
    published = [float(each["published"]) for each in every if each["published"]]
    if published:
        text += (
            " The write-up compares models by one run each, with accuracies from"
            f" {interval((min(published), max(published)))}%."
        )
    return text


def claims_finding(verdicts: Sequence[Verdict]) -> str:
    """Return the number of claims with each verdict."""
    counts = Counter(verdicts)
    return (
        f"**Verdicts on the write-up's {counts.total()} claims: {counts['supported']} supported,"
        f" {counts['contradicted']} contradicted, {counts['inconclusive']} inconclusive**, with the"
        " runs so far."
    )


def target_finding(every: Iterable[Statistics], final: str | None, target: Target) -> str | None:
    """Return a comparison of configuration `final` with the target; None without runs of it."""
    found = next((each for each in every if each["configuration"] == final), None)
    if found is None:
        return None
    parameters = int(found["parameters"])
    reached = parameters < target.parameters and float(found["accuracy"]) > target.accuracy
    runs = f"mean ± SD of {found['n']} seeds" if found["sd"] else "one run"
    return (
        f"**The write-up's target is {'' if reached else 'not '}reached**: more than"
        f" {target.accuracy}% with fewer than {target.parameters:,} parameters."
        f" {title(found['model'])} has {mean_and_sd(found)}% ({runs}) with {parameters:,}"
        " parameters."
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
    """Return the mean accuracy, in percent, ± the SD between seeds, in points, if it has one."""
    mean = number(float(each["accuracy"]))
    return f"{mean} ± {number(float(each['sd']))}" if each["sd"] else mean
