"""The values in the report's tables, as report.md.j2 needs them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np

from study.evaluation.metrics import METRICS, Metrics
from study.evidence import statistics
from study.evidence.aggregates import ConfigurationStats
from study.evidence.held_out import HeldOutRow
from study.evidence.judging import PILOT
from study.evidence.statistics import Correct
from study.evidence.verdicts import CheckResult, Claim, Verdicts
from study.evidence.write_up import PublishedModel, Target, WriteUp
from study.networks import receptive_field
from study.networks.receptive_field import Row
from study.reporting import findings
from study.reporting.formats import (
    MISSING,
    cell,
    estimate,
    interval,
    listed,
    p_value,
    signed,
    three_digits,
    title,
)
from study.training.history import Epoch

UNPUBLISHED = PublishedModel(
    architecture="",
    recipe=None,
    receptive_field=None,
    summary="",
    parameters=0,
    stated_best_accuracy=None,
)
"""A model that is not in the write-up."""


@dataclass(frozen=True)
class Models:
    """One run of each model, by name, in the order of the tables' rows."""

    metrics: Mapping[str, Metrics]
    histories: Mapping[str, Sequence[Epoch]]
    correct: Mapping[str, Correct]
    """True for each image of the evaluation set that is classified correctly."""
    summaries: Mapping[str, str]
    """torchsummary's tables."""
    receptive_fields: Mapping[str, Sequence[Row]]

    @property
    def validation_images(self) -> int:
        """Number of validation images that the models were evaluated on; 0 for the test set."""
        return validation_images(self.metrics)

    @property
    def missed(self) -> list[int]:
        """Numbers of the images that every model misclassifies."""
        numbers: list[int] = np.flatnonzero(~np.any([*self.correct.values()], axis=0)).tolist()
        return numbers


@dataclass(frozen=True)
class Evidence:
    """What the runs with several seeds show."""

    verdicts: Verdicts
    margin: float
    """Accuracies within this many points count as equivalent."""
    configurations: Sequence[ConfigurationStats]
    descriptions: Mapping[str, str]
    """What to call each configuration and closed trial, by id, and the target."""
    final: ConfigurationStats | None
    """The configuration that aims at the target, if it has run."""
    held_out: Sequence[HeldOutRow]
    """Configurations run on validation images, that of the final recipe first."""
    closed: Collection[str]
    """Ids of trials that are over."""


@dataclass(frozen=True)
class CurvePoint:
    """One epoch of one run of a model, for `dvc plots`."""

    model: str
    epoch: int
    test_accuracy: float
    test_loss: float
    train_loss: float


@dataclass(frozen=True)
class ModelRow:
    """A model in the tables of all models."""

    name: str
    metrics: Metrics
    """Metrics of one run."""
    epochs: int
    """Of the runs behind the statistics; of that one without them."""
    seeds: ConfigurationStats | None
    """Statistics over seeds; None without such runs."""
    published: PublishedModel


@dataclass(frozen=True)
class PairRow:
    """Two trained networks that a claim compares, on the same images."""

    a: str
    b: str
    accuracies: tuple[float, float]
    """Accuracy of a and of b, percent."""
    result: statistics.Comparison
    p_holm: float


@dataclass(frozen=True)
class FieldTable:
    """The receptive fields of models that share them."""

    models: list[str]
    is_published: bool
    differs: bool
    """True if a published cell differs from the computed one."""
    rows: list[list[str]]


@dataclass(frozen=True)
class Summary:
    """torchsummary's table of a model."""

    model: str
    lines: list[str]
    is_published: bool
    differs: bool
    """True if the published table differs."""


def validation_images(metrics: Mapping[str, Metrics]) -> int:
    """Return the number of validation images behind these metrics; 0 for the test set."""
    return max((each.validation_images for each in metrics.values()), default=0)


def curve_points(histories: Mapping[str, Sequence[Epoch]]) -> list[CurvePoint]:
    """Return all epochs of all models, in order."""
    return [
        CurvePoint(model, each.epoch, each.test_accuracy, each.test_loss, each.train_loss)
        for model, epochs in histories.items()
        for each in epochs
    ]


def model_rows(models: Models, evidence: Evidence, published: WriteUp) -> list[ModelRow]:
    """Return the rows of the tables of all models."""
    seeds = {each.model: each for each in evidence.configurations if each.default}
    return [
        ModelRow(
            name=name,
            metrics=metrics,
            epochs=seeds[name].epochs if name in seeds else len(models.histories[name]),
            seeds=seeds.get(name),
            published=published.models.get(name, UNPUBLISHED),
        )
        for name, metrics in models.metrics.items()
    ]


def difference(value: float | None, reference: float | None) -> float | None:
    """Return the difference between two values; None if one is missing."""
    return None if value is None or reference is None else value - reference


def standard_error(accuracy: float, images: int) -> float:
    """Return the binomial standard error of an accuracy on a number of images, in points."""
    return math.sqrt(accuracy * (100 - accuracy) / images)


def standard_errors(models: Models, images: int) -> tuple[float, float] | None:
    """Return the smallest and the largest standard error of the models' accuracies, in points."""
    errors = [
        standard_error(each.accuracy, images)
        for each in models.metrics.values()
        if each.accuracy is not None
    ]
    return (min(errors), max(errors)) if errors else None


def reaching_target(models: Models, published: WriteUp) -> list[str]:
    """Return the models that reach the write-up's target in this one run."""
    aim = published.target
    return [
        title(model)
        for model, each in models.metrics.items()
        if each.parameters is not None
        and each.accuracy is not None
        and each.parameters < aim.parameters
        and each.accuracy > aim.accuracy
    ]


def all_claims(evidence: Evidence) -> list[Claim]:
    """Return the claims of the write-up, then ours."""
    return [*evidence.verdicts.claims, *evidence.verdicts.questions]


def without_pilot(evidence: Evidence) -> str | None:
    """Return how the verdicts differ without the seeds of the pilot; None if that is not known."""
    claims = all_claims(evidence)
    if not any(claim.without_pilot for claim in claims):
        return None
    changed = [
        f"“{claim.title}” is {claim.without_pilot}"
        for claim in claims
        if claim.without_pilot not in (None, claim.verdict)
    ]
    pilot = f"Without seeds {PILOT[0]} to {PILOT[-1]}, those of the pilot,"
    if not changed:
        return f"{pilot} all verdicts are the same."
    differ = "differs" if len(changed) == 1 else "differ"
    return (
        f"{pilot} {len(changed)} of {len(claims)} verdicts {differ}: {listed(changed)}."
        " Fewer seeds also mean wider intervals."
    )


def ablation(evidence: Evidence) -> list[HeldOutRow]:
    """Return the final recipe and its variants, on validation images."""
    return [row for row in evidence.held_out if row.configuration not in evidence.closed]


def trials(evidence: Evidence) -> list[HeldOutRow]:
    """Return the final recipe and the closed trials, on validation images; none without trials."""
    found = [row for row in evidence.held_out if row.configuration in evidence.closed]
    return [*ablation(evidence)[:1], *found] if found else []


def distinguished(evidence: Evidence, metric: Literal["accuracy", "loss"]) -> list[str]:
    """Return the rows of the ablation that differ from the first one by the 95% CI of a metric."""
    found = []
    for row in ablation(evidence)[1:]:
        mean = row.accuracy_difference if metric == "accuracy" else row.loss_difference
        if mean and (mean.interval[0] > 0 or mean.interval[1] < 0):
            found.append(f"“{description(evidence, row.configuration)}”")
    return found


def description(evidence: Evidence, configuration: str) -> str:
    """Return the description of a configuration in experiments.yaml; otherwise its title."""
    return cell(evidence.descriptions.get(configuration, title(configuration)))


def decimals(check: CheckResult) -> int:
    """Return the decimals of a check's metric."""
    return METRICS[check.metric].decimals


def difference_text(check: CheckResult, margin: float) -> str:
    """Return the difference of a check with its interval."""
    if check.interval is None:
        return signed(check.difference, decimals(check))
    shown = findings.check_decimals(check, margin)
    return estimate(check.difference, check.interval, shown, sign=True)


def difference_unit(check: CheckResult) -> str:
    """Return the unit of a check's difference; nothing for a count."""
    unit = METRICS[check.metric].unit
    return "points" if unit == "%" else unit


def p_corrected(check: CheckResult) -> str:
    """Return how a check's p-value is corrected: `0.0104 × 5 = 0.0520`; a word without one."""
    if check.factor is None or check.p is None or check.p_adjusted is None:
        return "count" if check.a is not None else MISSING
    if check.p_adjusted < 0.001:
        return p_value(check.p_adjusted)
    product = f"{three_digits(check.p)} × {check.factor}"
    over_one = check.p * check.factor > 1
    return f"{product} > 1" if over_one else f"{product} = {three_digits(check.p_adjusted)}"


def open_checks(claim: Claim, names: Mapping[str, str], margin: float) -> list[str]:
    """Return what is known about each inconclusive check of an inconclusive claim."""
    return [
        open_check(check, names, margin)
        for check in claim.checks
        if check.verdict == claim.verdict == "inconclusive"
    ]


def open_check(check: CheckResult, names: Mapping[str, str], margin: float) -> str:
    """Return what is known about an inconclusive check."""
    a, b, metric = names[check.of], names[check.than], findings.metric_title(check.metric)
    assert check.interval
    between = interval(check.interval, findings.check_decimals(check, margin), sign=True)
    low, high = check.interval
    at = {"equivalent": f" at ±{margin:g}", "not_higher": f" at +{margin:g}"}
    # About a margin: whether there is a difference may be clear.
    side = " above 0, but" if low > 0 else " below 0, but" if high < 0 else ""
    return (
        f"{metric}, {a} − {b}: {between} {difference_unit(check)},{side} too close to"
        f" call{at.get(check.relation, '')} with {check.n} seeds."
    )


def by_recipe(evidence: Evidence) -> list[tuple[str, ConfigurationStats, ConfigurationStats]]:
    """Return each model with the recipe of Models 2 and 4, and with that of Model 6, if it ran."""
    stats = {each.configuration: each for each in evidence.configurations}
    return [
        (title(model), stats[plain], stats[new])
        for model, plain, new in (
            ("model-2", "model-2", "model-2-recipe-6"),
            ("model-4", "model-4", "model-4-recipe-6"),
            ("model-6", "model-6-recipe-4", "model-6"),
        )
        if {plain, new} <= stats.keys()
    ]


def recipe_and_architecture(
    rows: Sequence[tuple[str, ConfigurationStats, ConfigurationStats]],
) -> str:
    """Return what the recipe changes, and the last network compared with others, in sentences.

    `rows` are those of `by_recipe`.
    """
    gains = [new.accuracy - plain.accuracy for _, plain, new in rows]
    name, *last = rows[-1]
    others = [
        f"{other} ({each[0].parameters:,} parameters) by "
        + listed([signed(a.accuracy - b.accuracy, 3) for a, b in zip(last, each, strict=True)])
        for other, *each in rows[:-1]
    ]
    recipe = (
        f"The recipe of Model 6 changes the mean by {signed(min(gains))} to {signed(max(gains))}"
        " points."
    )
    if not others:
        return recipe
    return (
        f"{recipe} With the same recipe, {name} ({last[0].parameters:,} parameters) differs from"
        f" {', and from '.join(others)} points."
    )


def on_target(evidence: Evidence, target: Target) -> list[str]:
    """Return the configurations whose mean accuracy and parameters are those of the target."""
    return [
        description(evidence, each.configuration)
        for each in evidence.configurations
        if each.accuracy > target.accuracy and each.parameters < target.parameters
    ]


def pair_rows(models: Models, published: WriteUp) -> list[PairRow]:
    """Compare the trained networks that claims compare: McNemar's exact test, Holm's correction."""
    pairs = [
        claim.compares
        for claim in published.claims
        if claim.compares and models.metrics.keys() >= {*claim.compares}
    ]
    results = [statistics.compare(models.correct[a], models.correct[b]) for a, b in pairs]
    corrected = statistics.holm([each.p for each in results]).adjusted.tolist()
    return [
        PairRow(
            a=a,
            b=b,
            accuracies=(accuracy(models.correct[a]), accuracy(models.correct[b])),
            result=result,
            p_holm=p,
        )
        for (a, b), result, p in zip(pairs, results, corrected, strict=True)
    ]


def accuracy(correct: Correct) -> float:
    """Return an accuracy, percent."""
    return float(100 * correct.mean())


def field_tables(models: Models, published: WriteUp) -> list[FieldTable]:
    """Return the receptive-field tables; models with the same table, also published, share it."""
    sharing: dict[tuple[tuple[Row, ...], tuple[Row, ...]], list[str]] = {}
    for model, computed in models.receptive_fields.items():
        reference = published.models.get(model, UNPUBLISHED).receptive_field
        sharing.setdefault((tuple(computed), reference or ()), []).append(model)
    return [field_table(names, *rows) for rows, names in sharing.items()]


def field_table(models: list[str], computed: Sequence[Row], reference: Sequence[Row]) -> FieldTable:
    """Return a receptive-field table; published cells that differ are struck through."""
    if not reference:
        return FieldTable(models, False, False, [cells(row) for row in computed])
    differing = receptive_field.differing(computed, reference)
    rows = [
        [
            f"**{a}** ~~{b}~~" if column in columns else a
            for column, a, b in zip(
                receptive_field.COLUMNS, cells(ours), cells(theirs), strict=True
            )
        ]
        for ours, theirs, columns in zip_longest(computed, reference, differing)
    ]
    return FieldTable(models, True, any(differing), rows)


def cells(row: Row | None) -> list[str]:
    """Return a row of a receptive-field table as text; a missing row as dashes."""
    if row is None:
        return [MISSING] * len(receptive_field.COLUMNS)
    side = row.receptive_field
    numbers = (row.n_in, row.n_out, row.j_in, row.j_out, row.r_in, row.r_out)
    return [row.layer, f"{side}x{side}", *(f"{number:g}" for number in numbers)]


def summaries(models: Models, published: WriteUp) -> list[Summary]:
    """Return torchsummary's tables."""
    found = []
    for model, text in models.summaries.items():
        reference = published.models.get(model, UNPUBLISHED).summary.splitlines()
        lines = text.splitlines()
        # The last line says what trains the network, which is not torchsummary's.
        found.append(Summary(model, lines, bool(reference), lines[: len(reference)] != reference))
    return found
