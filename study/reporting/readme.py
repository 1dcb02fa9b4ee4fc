"""The generated parts of README.md. `make readme` inserts them, with cog."""

from collections.abc import Sequence
from pathlib import Path

from study.base.files import read_text
from study.evidence import aggregates, configurations, run_table, verdicts, write_up
from study.evidence.aggregates import ConfigurationStats
from study.evidence.verdicts import NumberResult
from study.evidence.write_up import WriteUp
from study.reporting import findings
from study.reporting.formats import MISSING, number, row, title

RUNS = Path("metrics/runs.csv")
CLAIMS = Path("metrics/claims.json")
EXPERIMENTS = Path("experiments.yaml")
REFERENCE = Path("reference/write_up.yaml"), Path("reference/epochs.csv")


def found() -> str:
    """Return what the study found, as a Markdown list."""
    judged = verdicts.from_json(read_text(CLAIMS))
    stats = statistics()
    final = aggregates.named(stats, experiments().final)
    sentences = findings.findings(judged, stats, final, published())
    return "\n".join(f"- {sentence}" for sentence in sentences)


def results() -> str:
    """Return the table of all models as params.yaml has them, in Markdown."""
    order = [*experiments().descriptions]
    stats = sorted(statistics(), key=lambda each: order.index(each.configuration))
    return table(stats, verdicts.from_json(read_text(CLAIMS)).numbers)


def table(configurations: Sequence[ConfigurationStats], numbers: Sequence[NumberResult]) -> str:
    """Return the table of the default ones of these configurations, in Markdown."""
    reproduced = {
        each.of: "yes" if each.reproduced else "no"
        for each in numbers
        if each.metric in ("accuracy", "best_accuracy")
    }
    rows = [
        row(
            title(each.model),
            number(each.parameters, 0),
            findings.mean_and_sd(each),
            str(each.n),
            number(each.published) + (" (best epoch)" if each.published_best else ""),
            reproduced.get(each.configuration, MISSING),
        )
        for each in configurations
        if each.default
    ]
    names = ("Parameters", "Accuracy (%), mean ± SD", "Seeds", "Write-up, one run", "Reproduced")
    return "\n".join([row("Model", *names), row("---", *5 * ["---:"]), *rows])


def statistics() -> list[ConfigurationStats]:
    """Return the statistics of every configuration on the test set."""
    rows = run_table.on_the_test_set(run_table.from_csv(read_text(RUNS)))
    return aggregates.configuration_stats(rows, published(), experiments().defaults)


def published() -> WriteUp:
    """Return the write-up."""
    return write_up.read(*REFERENCE)


def experiments() -> configurations.ExperimentsFile:
    """Return the contents of experiments.yaml."""
    return configurations.read(read_text(EXPERIMENTS))
