"""The generated parts of README.md and docs/. `make readme` inserts them, with cog."""

from collections.abc import Mapping, Sequence

from stages import project_files
from study.evidence import aggregates, claims_file
from study.evidence.aggregates import ConfigurationStats
from study.evidence.verdicts import NumberResult
from study.reporting import findings
from study.reporting.formats import MISSING, interval, number, row, title


def found() -> str:
    """Return what the study found, as a Markdown list."""
    stats, experiments = project_files.statistics(), project_files.experiments()
    sentences = findings.findings(
        project_files.judged(),
        stats,
        aggregates.named(stats, experiments.final),
        project_files.published(),
        claims_file.descriptions(experiments),
    )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def results() -> str:
    """Return the table of all models as params.yaml has them, in Markdown."""
    stats = {each.configuration: each for each in project_files.statistics()}
    shown = [stats[name] for name in project_files.experiments().defaults if name in stats]
    return table(shown, project_files.judged().numbers)


def table(configurations: Sequence[ConfigurationStats], numbers: Sequence[NumberResult]) -> str:
    """Return the table of these configurations, in Markdown."""
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
            published_run(each),
            reproduced.get(each.configuration, MISSING),
        )
        for each in configurations
    ]
    names = ("Parameters", "Accuracy (%), mean ± SD", "Seeds", "Write-up, one run", "Reproduced")
    return "\n".join([row("Model", *names), row("---", *5 * ["---:"]), *rows])


def records(news: Mapping[str, tuple[str, str, str]]) -> str:
    """Return the table of records in docs/small-networks.md, in Markdown.

    `news` has, by id of a configuration, the date, the commit that froze it, and what was new; one
    without runs is left out, as in a study that has replaced the run table.
    """
    stats = {each.configuration: each for each in project_files.statistics()}
    return record_table([(stats[name], *new) for name, new in news.items() if name in stats])


def record_table(records: Sequence[tuple[ConfigurationStats, str, str, str]]) -> str:
    """Return the table of records, each with its date, commit, and what was new."""
    names = ("Parameters", "Epochs", "Seeds", "Accuracy (%), mean ± SD", "95% CI of the mean")
    rows = [
        row(
            f"{date} (`{commit}`)",
            f"{title(each.configuration)}: {new}",
            number(each.parameters, 0),
            str(each.epochs),
            str(each.n),
            f"{number(each.unrounded.mean, 3)} ± {number(each.unrounded.sd, 3)}",
            interval(each.unrounded.interval, 3),
        )
        for each, date, commit, new in records
    ]
    return "\n".join(
        [row("Frozen on (in)", "Record", *names), row(*2 * ["---"], *5 * ["---:"]), *rows]
    )


def published_run(each: ConfigurationStats) -> str:
    """Return the write-up's accuracy, in percent; if it is a best epoch, with our mean of those."""
    accuracy = number(each.published)
    ours = f" (best epoch; ours: {number(each.best_accuracy)})"
    return accuracy + ours if each.published_best else accuracy
