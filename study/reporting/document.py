"""The report, as Markdown: what was measured beside what the documents say."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from study.evidence import run_table, statistics
from study.evidence.aggregates import ConfigurationStats
from study.evidence.statistics import Correct, Interval, MeanCI
from study.evidence.target import AblationRow, FinalModel
from study.evidence.verdicts import CheckResult, Claim
from study.evidence.write_up import Model, QuotedClaim, WriteUp
from study.networks import receptive_field
from study.networks.receptive_field import Row
from study.reporting.figures import related, title
from study.training.history import Epoch

RESULTS = (
    "Model",
    "Parameters",
    "Epochs",
    "Accuracy (%)",
    "documents",
    "difference",
    "Mean over seeds",
    "Best epoch (%)",
    "documents",
    "Loss",
    "documents",
    "difference",
)
COMPARISONS = (
    "Baseline → model",
    "Baseline (%)",
    "Model (%)",
    "Right alone",
    "Difference (points)",
    "p",
    "p (Holm)",
    "Loss",
    "Parameters",
)
COMPARED = """\
In brackets 95 % intervals: of an accuracy Wilson's, of a difference Newcombe's for pairs. “Correct
alone” counts the test images that only the baseline and only the model names rightly; from these
comes p, the exact McNemar test's, and then Holm's correction for testing several conclusions at
once. Loss and parameters are the model's less the baseline's. All of this is about these trained
networks, one run of each: how much another seed would change is not in it."""
FIGURES = {
    "accuracy": "Accuracy",
    "best_accuracy": "Best epoch",
    "train_accuracy": "Training accuracy",
    "loss": "Loss",
    "last_epochs_std": "Deviation of the last three epochs",
    "parameters": "Parameters",
}
CLAIMS = ("The documents say", "Conclusion", "Verdict", "p (Holm)", "Against the runs")
CONFIGURATIONS = (
    "Experiment",
    "Parameters",
    "Seeds",
    "Accuracy (%)",
    "Deviation",
    "Best epoch (%)",
    "Gained by choosing (points)",
    "Deviation of the last three epochs",
    "Loss",
)
JUDGED = """\
Each line sets means over the seeds against each other, or against a number of the documents, which
is one run's: the difference, seed by seed, and in brackets its 95 % interval (Student's). “Above”
and “below” hold where that interval lies on the side that they name, and do not hold where it lies
on the other one. “Same” holds where it lies within ±{margin:g} points, “not above” where it lies
below {margin:g}: that there is no difference takes evidence, too. They do not hold where it lies
beyond. Otherwise it cannot be told from these runs.

A conclusion holds when all of its lines do, and does not hold when one of them does not. Its p is
of whichever the runs are nearer to: the largest of its lines' for it, or the smallest against it,
times their number. Corrected after Holm for testing {claims} conclusions at once, p has to be below
0.05, so that a conclusion can be less sure than its lines. All of this is about seeds. What other
test images than these {images:,} would change is not in the intervals: of one accuracy, the note
below the first table says how much."""
CHOSEN = """\
Means over the seeds, in brackets 95 % intervals; deviations are standard deviations (n − 1), in
points. The first is that from seed to seed. The documents quote best epochs, chosen on the test
set; over all {runs} runs that alone adds {gain} points."""
CHOICES = (
    "Trained without these images",
    "Parameters",
    "Seeds",
    "Accuracy (%)",
    "Difference (points)",
    "Loss",
    "Difference",
)
HELD_OUT = """\
Chosen was the recipe with the lowest loss on the last {images:,} training images, kept out of
training, before the test set was looked at: of one seed each of Model 6 with and without elastic
changes and augmentation_anneal. The network itself comes from trials on the same images, which are not recorded.
All other rows ran afterwards (`revision` in metrics/runs.csv): they show what each part is
worth, and are not why it is there. Means over the seeds, and differences to the first row, seed by
seed, with 95 % intervals (Student's, each by itself)."""
NOTHING = "–"
DIFFERS = """\
Where the documents' table differs, its entry stands struck out beside the right one: a window of
side k widens the receptive field by (k − 1) j_in, half of that on either side, and multiplies the
jump by its stride alone, so that pooling 2x2 after 7x7 sees 8x8."""


@dataclass(frozen=True)
class Metrics:
    """A model's figures, as in metrics/: accuracies in percent, their deviation in points."""

    accuracy: float
    loss: float
    best_accuracy: float
    train_accuracy: float
    last_epochs_std: float
    parameters: int
    validation_images: int = 0
    """On how many training images it was evaluated, kept out of training; 0: on the test set."""


def validation_images(metrics: Mapping[str, Metrics]) -> int:
    """Return on how many held-out training images all models were evaluated; 0: the test set."""
    return max(each.validation_images for each in metrics.values())


def missed_by_all(right: Mapping[str, Correct]) -> list[int]:
    """Return the numbers of the images that no model is `right` about."""
    numbers: list[int] = np.flatnonzero(~np.any([*right.values()], axis=0)).tolist()
    return numbers


@dataclass(frozen=True)
class Models:
    """One run of each model, by its name, in the order of the tables' rows."""

    metrics: Mapping[str, Metrics]
    histories: Mapping[str, Sequence[Epoch]]
    right: Mapping[str, Correct]
    """Of each image that it is evaluated on, whether the model is right about it."""
    summaries: Mapping[str, str]
    """torchsummary's tables."""
    receptive_fields: Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Runs:
    """What the ledger says: runs with several seeds."""

    claims: Sequence[Claim]
    margin: float
    """Within so many points, accuracies count as the same."""
    configurations: Sequence[ConfigurationStats]
    descriptions: Mapping[str, str]
    """What each experiment is."""
    outcome: FinalModel | None
    """Of the model that is after the documents' goal, if it has run."""
    choices: Sequence[AblationRow]
    """How it was chosen."""


def report(models: Models, runs: Runs, published: WriteUp) -> str:
    """Return the whole report; its figures lie in figures/ beside it."""
    metrics = models.metrics
    missed = len(missed_by_all(models.right))
    every = f"{missed or 'None'} of the {published.test_images:,} test images"
    return f"""# Results
{evaluated_on(metrics)}
{results_table(metrics, models.histories, runs.configurations, published)}

{target(metrics, published)}

## The goal

{goal(runs.outcome, runs.choices, runs.descriptions, published)}

## What the documents conclude

{verdicts(runs.claims, published, runs.margin)}

![Differences in accuracy with their intervals](figures/forest.svg)

## Over the seeds

{configurations_table(runs.configurations, runs.descriptions)}

![Accuracy against parameters, with the documents' target](figures/parameters.svg)

![Test accuracy over the seeds of each model, epoch by epoch](figures/seeds.svg)

## Model against model, one run each

{comparisons(metrics, models.right, published)}

## Training curves

![Test accuracy and test loss of each model, epoch by epoch](figures/curves.svg)

Epochs are counted from 0, as in the documents' log. The panels show where the curves settle.

## Confusion matrices

![How often each model took each digit for each other one](figures/confusion.svg)

Each number counts test images. The diagonal, where the prediction is right, is left out.

## Digits that every model gets wrong

{every}.

![Test digits that every model gets wrong, with label and answers](figures/misses.svg)

## Receptive fields

Counted along one side: RF, the input pixels that one position of a layer's output depends on; n,
positions; j, input pixels from one position to the next; r, radius of the receptive field.

{receptive_field_tables(models.receptive_fields, published.models)}

## Layers

{summary_tables(models.summaries, published.models)}
"""


def results_table(
    metrics: Mapping[str, Metrics],
    histories: Mapping[str, Sequence[Epoch]],
    configurations: Iterable[ConfigurationStats],
    published: WriteUp,
) -> str:
    """Return the table of all models, one row each, and the notes that belong to it."""
    seeds = {each.model: each for each in configurations if each.default}
    rows = [
        result(model, each, histories[model], seeds.get(model), published.models.get(model))
        for model, each in metrics.items()
    ]
    return f"{table(RESULTS, rows)}\n\n{notes(metrics, published)}"


def result(
    model: str,
    metrics: Metrics,
    history: Sequence[Epoch],
    seeds: ConfigurationStats | None,
    published: Model | None,
) -> list[str]:
    """Return one row of the table of all models."""
    accuracy = loss = accuracy_difference = loss_difference = best = NOTHING
    if published and published.accuracy is not None and published.loss is not None:
        accuracy, loss = f"{published.accuracy:.2f}", f"{published.loss:.4f}"
        accuracy_difference = signed(metrics.accuracy - published.accuracy, 2)
        loss_difference = signed(metrics.loss - published.loss, 4)
    if published and published.best_accuracy is not None:
        best = f"{published.best_accuracy:.2f}"
        if published.accuracy is None:
            accuracy = f"{best} †"
            accuracy_difference = f"{signed(metrics.best_accuracy - published.best_accuracy, 2)} †"
    return [
        title(model),
        f"{metrics.parameters:,}",
        f"{len(history)}",
        f"{metrics.accuracy:.2f}",
        accuracy,
        accuracy_difference,
        f"{seeds.accuracy:.2f} (n = {seeds.n})" if seeds else NOTHING,
        f"{metrics.best_accuracy:.2f}",
        best,
        f"{metrics.loss:.4f}",
        loss,
        loss_difference,
    ]


def notes(metrics: Mapping[str, Metrics], published: WriteUp) -> str:
    """Say what a reader of the table of all models must know."""
    images = validation_images(metrics) or published.test_images
    errors = [standard_error(each.accuracy, images) for each in metrics.values()]
    spread = " to ".join(sorted({f"{min(errors):.2f}", f"{max(errors):.2f}"}))
    lines = [
        f"Accuracy and loss on {images:,} {'held-out' if validation_images(metrics) else 'test'} images"
        " after the last epoch, one run each; the standard error of one accuracy (binomial) is"
        f" {spread} points. The mean over n seeds tells how lucky that run is. The best epoch is"
        " chosen on the same images, which flatters it."
    ]
    if any(m in published.models and published.models[m].stated_best_accuracy for m in metrics):
        lines.append(
            "† The documents give a best epoch only; the difference is that of the best epochs."
        )
    return "  \n".join(lines)


def standard_error(accuracy: float, images: int) -> float:
    """Return the binomial standard error of an accuracy on so many images, both in percent."""
    return math.sqrt(accuracy * (100 - accuracy) / images)


def comparisons(
    metrics: Mapping[str, Metrics], right: Mapping[str, Correct], published: WriteUp
) -> str:
    """Return what the documents conclude of one model against another, held against the runs."""
    concluded = [
        (conclusion, *conclusion.compares)
        for conclusion in published.claims
        if conclusion.compares and metrics.keys() >= {*conclusion.compares}
    ]
    if not concluded:
        return "The documents compare none of these models with one another."
    compared = [statistics.compare(right[first], right[second]) for _, first, second in concluded]
    corrected = statistics.holm([each.p for each in compared])
    rows = []
    for (_, first, second), each, p in zip(concluded, compared, corrected, strict=True):
        low, high = each.interval
        rows.append(
            [
                f"{title(first)} → {title(second).removeprefix('Model ')}",
                accuracy(right[first]),
                accuracy(right[second]),
                f"{each.only_a_correct} / {each.only_b_correct}",
                f"{signed(each.difference, 2)} ({signed(low, 2)} to {signed(high, 2)})",
                probability(each.p),
                probability(p),
                signed(metrics[second].loss - metrics[first].loss, 4),
                signed(metrics[second].parameters - metrics[first].parameters, 0),
            ]
        )
    words = "\n".join(f"- {said(conclusion)}" for conclusion, *_ in concluded)
    return f"The documents say:\n\n{words}\n\n{table(COMPARISONS, rows)}\n\n{COMPARED}"


def verdicts(claims: Sequence[Claim], published: WriteUp, margin: float) -> str:
    """Return a table of the documents' conclusions: their words, the evidence, the verdict."""
    conclusions = {conclusion.id: conclusion for conclusion in published.claims}
    rows = [
        (
            said(conclusions[claim.id]),
            f"`{claim.id}`",
            f"**{claim.verdict}**",
            probability(claim.p_holm),
            "<br>".join(map(evidence, claim.checks)),
        )
        for claim in claims
    ]
    explained = JUDGED.format(claims=len(claims), margin=margin, images=published.test_images)
    return f"{table(CLAIMS, rows, ['---'] * len(CLAIMS))}\n\n{explained}"


def evidence(test: CheckResult) -> str:
    """Return what came of a test, in one line."""
    decimals = run_table.DECIMALS[test.metric]
    said = related(test.relation, test.than)
    line = f"{FIGURES[test.metric]}: {title(test.of)} {said}"
    if test.value is None or test.baseline is None or test.difference is None:
        return f"{line}: no runs; {test.verdict}"
    # A mean is surer than one run, by a decimal; what is counted has none.
    found = difference(test.difference, test.interval, decimals + 1 if test.interval else decimals)
    pair = f"{test.value:,.{decimals}f} against {test.baseline:,.{decimals}f}"
    if test.published:
        theirs = (NOTHING if side is None else f"{side:,.{decimals}f}" for side in test.published)
        pair += f" (documents: {' against '.join(theirs)})"
    return f"{line}: {pair}, {found}, n = {len(test.seeds)}: {test.verdict}"


def configurations_table(
    configurations: Sequence[ConfigurationStats], descriptions: Mapping[str, str]
) -> str:
    """Return a table of all experiments, one row each, and what it shows of choosing an epoch."""
    rows = [
        [
            descriptions.get(each.configuration, title(each.configuration)),
            f"{each.parameters:,}",
            f"{each.n}",
            interval(each.accuracy, each.low, each.high, 2),
            NOTHING if each.sd is None else f"{each.sd:.3f}",
            f"{each.best_accuracy:.2f}",
            interval(each.gain, each.gain_low, each.gain_high, 2),
            f"{each.last_epochs_std:.3f}",
            f"{each.loss:.4f}",
        ]
        for each in configurations
    ]
    runs = sum(each.n for each in configurations)
    if not runs:
        return "No runs yet: `make experiments` makes them."
    gain = f"{sum(each.n * each.gain for each in configurations) / runs:.2f}"
    return f"{table(CONFIGURATIONS, rows)}\n\n{CHOSEN.format(runs=runs, gain=gain)}"


def interval(mean: float, low: float | None, high: float | None, decimals: int) -> str:
    """Return a mean with its interval, if it has one."""
    if low is None or high is None:
        return f"{mean:.{decimals}f}"
    start, end = (f"{round(bound, decimals) + 0.0:.{decimals}f}" for bound in (low, high))
    return f"{mean:.{decimals}f} ({start} to {end})".replace("-", "−")


def said(conclusion: QuotedClaim) -> str:
    """Return the documents' words as a quotation."""
    return f"“{conclusion.quote.rstrip('.')}.”"


def accuracy(right: Correct) -> str:
    """Return an accuracy with its interval, in percent."""
    low, high = statistics.accuracy_interval(right)
    return f"{100 * right.mean():.2f} ({low:.2f} to {high:.2f})"


def probability(p: float) -> str:
    """Return a p-value with as many decimals as matter."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def target(metrics: Mapping[str, Metrics], published: WriteUp) -> str:
    """Say which models reach what the documents are after."""
    aim = published.target
    there = [
        title(model)
        for model, each in metrics.items()
        if each.parameters < aim.parameters and each.accuracy > aim.accuracy
    ]
    return (
        f"The documents look for fewer than {aim.parameters:,} parameters and more than"
        f" {aim.accuracy} %. Models that reach both in the one run above:"
        f" {', '.join(there) or 'none'}."
    )


def evaluated_on(metrics: Mapping[str, Metrics]) -> str:
    """Say so when the models were not evaluated on the test set."""
    if not (count := validation_images(metrics)):
        return ""
    return f"""
**All figures of single models are of the last {count:,} training images, which were held out,
and not of the test set, whatever is said below.**
"""


def goal(
    outcome: FinalModel | None,
    choices: Sequence[AblationRow],
    descriptions: Mapping[str, str],
    published: WriteUp,
) -> str:
    """Say what came of the documents' goal, and what each choice on the way there is worth."""
    words = next(said(each) for each in published.claims if each.id == "target-not-reached")
    paragraphs = [f"The documents say: {words}", reached(outcome, published)]
    if outcome and choices:
        rows = [
            [
                descriptions.get(each.configuration, title(each.configuration)),
                f"{each.parameters:,}",
                f"{each.accuracy.n}",
                f"{each.accuracy.mean:.3f}",
                more(each.accuracy_difference, 3) if number else NOTHING,
                f"{each.loss.mean:.4f}",
                more(each.loss_difference, 4) if number else NOTHING,
            ]
            for number, each in enumerate(choices)
        ]
        paragraphs += [table(CHOICES, rows), HELD_OUT.format(images=choices[0].validation_images)]
    return "\n\n".join(paragraphs)


def reached(outcome: FinalModel | None, published: WriteUp) -> str:
    """Say what the model that is after the documents' goal comes to."""
    if outcome is None:
        return "The model that is after it has no runs yet: `make experiments`."
    accuracy = outcome.accuracy
    there = (
        f"{title(outcome.configuration)} has {outcome.parameters:,} parameters. On the test set, after the last"
        " epoch, it comes to"
    )
    if accuracy.interval is None:
        return f"{there} {accuracy.mean:.2f} %, in a single run, which shows little."
    error = standard_error(accuracy.mean, published.test_images)
    return (
        f"{there} {interval(accuracy.mean, *accuracy.interval, 3)} %, the mean of {accuracy.n}"
        f" seeds with its 95 % interval; single runs go from {outcome.lowest:.2f} to"
        f" {outcome.highest:.2f} %, with a standard deviation of {accuracy.sd:.3f} points."
        f" For a mean above {published.target.accuracy} %, p is {probability(outcome.p)}"
        " (one-sided, Student's). All of this is about seeds: with other test images than these"
        f" {published.test_images:,}, the mean would be another, by a standard error of up to"
        f" {error:.2f} points."
    )


def more(mean: MeanCI | None, decimals: int) -> str:
    """Return a mean difference, if there is one, with its interval, if that has one."""
    return difference(mean.mean, mean.interval, decimals) if mean else NOTHING


def difference(value: float, bounds: Interval | None, decimals: int) -> str:
    """Return a difference with its interval, if it has one."""
    if bounds is None:
        return signed(value, decimals)
    low, high = (signed(bound, decimals) for bound in bounds)
    return f"{signed(value, decimals)} ({low} to {high})"


def receptive_field_tables(
    computed: Mapping[str, Sequence[Row]], published: Mapping[str, Model]
) -> str:
    """Return a section for each table; models that share one, the documents' included, share it."""
    sharing: dict[tuple[tuple[Row, ...], tuple[Row, ...]], list[str]] = {}
    for model, rows in computed.items():
        theirs = published[model].receptive_field if model in published else None
        sharing.setdefault((tuple(rows), theirs or ()), []).append(title(model))
    return "\n\n".join(
        f"### {', '.join(models)}\n\n{receptive_field_table(*rows)}"
        for rows, models in sharing.items()
    )


def receptive_field_table(computed: Sequence[Row], published: Sequence[Row]) -> str:
    """Return a table with the documents', unless that is empty, in the cells that differ."""
    header = ("Layer", "RF", "n_in", "n_out", "j_in", "j_out", "r_in", "r_out")
    if not published:
        return f"The documents give no such table.\n\n{table(header, map(cells, computed))}"
    differing = receptive_field.differing(computed, published)
    rows = [
        [
            f"**{a}** ~~{b}~~" if column in columns else a
            for column, a, b in zip(
                receptive_field.COLUMNS, cells(ours), cells(theirs), strict=True
            )
        ]
        for ours, theirs, columns in zip_longest(computed, published, differing)
    ]
    if not any(differing):
        return f"As in the documents.\n\n{table(header, rows)}"
    return f"{DIFFERS}\n\n{table(header, rows)}"


def cells(row: Row | None) -> list[str]:
    """Return a row of a receptive-field table as text; a missing row as dashes."""
    if row is None:
        return [NOTHING] * len(receptive_field.COLUMNS)
    side = row.receptive_field
    numbers = (row.n_in, row.n_out, row.j_in, row.j_out, row.r_in, row.r_out)
    return [row.layer, f"{side}x{side}", *(f"{number:g}" for number in numbers)]


def summary_tables(summaries: Mapping[str, str], published: Mapping[str, Model]) -> str:
    """Return torchsummary's tables, one section each, and whether they are the documents'."""
    sections = []
    for model, summary in summaries.items():
        lines = summary.splitlines()
        verdict = "The documents give no such table."
        if model in published:
            same = lines == published[model].summary.splitlines()
            verdict = f"{'As' if same else 'Not as'} in the documents, line for line."
        table = "\n".join(("```", *lines, "```"))
        sections.append(f"### {title(model)}\n\n{verdict}\n\n{table}")
    return "\n\n".join(sections)


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], rule: Sequence[str] | None = None
) -> str:
    """Return a Markdown table: the first column to the left, the others, numbers, to the right.

    `rule` is the line below the header, for a table that has words in its other columns.
    """
    rule = rule or ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def signed(difference: float, decimals: int) -> str:
    """Return a difference with its sign."""
    return f"{round(difference, decimals) + 0.0:+,.{decimals}f}".replace("-", "−")
