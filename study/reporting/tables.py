"""The values in the report's tables, as report.md.j2 needs them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field

from study.base.yaml_io import from_yaml
from study.evidence import run_table, statistics
from study.evidence.aggregates import ConfigurationStats
from study.evidence.statistics import Correct, Interval
from study.evidence.target import AblationRow, FinalModel
from study.evidence.verdicts import CheckResult, Claim, Verdict
from study.evidence.write_up import Model, WriteUp
from study.networks import receptive_field
from study.networks.receptive_field import Row
from study.recipes.recipe import TRAINING_IMAGES
from study.reporting.formats import MISSING, cell, title
from study.training.history import Epoch

METRICS = {
    "accuracy": "Accuracy",
    "best_accuracy": "Best epoch",
    "train_accuracy": "Training accuracy",
    "loss": "Loss",
    "last_epochs_std": "SD of the last three epochs",
    "parameters": "Parameters",
}
"""Name of each metric."""
UNPUBLISHED = Model(
    architecture="",
    recipe=None,
    receptive_field=None,
    summary="",
    parameters=0,
    stated_best_accuracy=None,
)
"""A model that is not in the write-up."""


@dataclass(frozen=True)
class Metrics:
    """The metrics of one run, as in metrics/models/: accuracies in percent, their SD in points.

    A metric may be missing (None) or, after a failed training, nan.
    """

    accuracy: float | None = None
    loss: float | None = None
    best_accuracy: float | None = None
    train_accuracy: float | None = None
    last_epochs_std: float | None = None
    parameters: int | None = None
    validation_images: Annotated[int, Field(ge=0, lt=TRAINING_IMAGES)] = 0
    """Number of validation images it was evaluated on; 0 for the test set."""


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

    claims: Sequence[Claim]
    margin: float
    """Accuracies within this many points count as equivalent."""
    configurations: Sequence[ConfigurationStats]
    descriptions: Mapping[str, str]
    """Description of each configuration, by id."""
    final: FinalModel | None
    """The configuration that aims at the target, if it has run."""
    ablation: Sequence[AblationRow]


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
    seeds: ConfigurationStats | None
    """Statistics over seeds; None without such runs."""
    published: Model


@dataclass(frozen=True)
class PairRow:
    """Two trained networks that a claim compares, on the same images."""

    quote: str
    a: str
    b: str
    accuracies: tuple[tuple[float, Interval], tuple[float, Interval]]
    """Accuracy with its 95% CI, percent, of a and of b."""
    result: statistics.Comparison
    p_holm: float
    loss: float | None
    """Loss of b minus loss of a."""
    parameters: float | None
    """Parameters of b minus parameters of a."""


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


def read_metrics(name: str, text: str) -> Metrics:
    """Return the metrics in the text of the JSON file `name`. Raises UserError if it is not valid.

    Unknown metrics are ignored. (JSON is YAML, except for NaN, which is a word that means nan.)
    """
    return from_yaml(Metrics, name, text)


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
            epochs=len(models.histories[name]),
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
        if each.accuracy is not None and math.isfinite(each.accuracy)
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


def by_verdict(claims: Sequence[Claim]) -> dict[Verdict, list[Claim]]:
    """Return the claims of each verdict, none or more."""
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    return {verdict: [each for each in claims if each.verdict == verdict] for verdict in verdicts}


def target_quote(claims: Sequence[Claim]) -> str | None:
    """Return the words of the claim that is about the target, if there is one."""
    about = (each.quote for each in claims if any(check.than == "target" for check in each.checks))
    return next(about, None)


def mean_gain(configurations: Sequence[ConfigurationStats]) -> float:
    """Return the gain from choosing the best epoch on the test set, mean of all runs, in points."""
    return sum(each.n * each.gain for each in configurations) / sum(
        each.n for each in configurations
    )


def distinguished(evidence: Evidence, metric: Literal["accuracy", "loss"]) -> list[str]:
    """Return the rows of the ablation that differ from the first one by the 95% CI of a metric."""
    found = []
    for row in evidence.ablation[1:]:
        mean = row.accuracy_difference if metric == "accuracy" else row.loss_difference
        if mean and mean.interval and (mean.interval[0] > 0 or mean.interval[1] < 0):
            found.append(f"“{description(evidence, row.configuration)}”")
    return found


def description(evidence: Evidence, configuration: str) -> str:
    """Return the description of a configuration in experiments.yaml; otherwise its title."""
    return cell(evidence.descriptions.get(configuration, title(configuration)))


def check_text(check: CheckResult) -> str:
    """Return a check as text: `Accuracy: Model 2 higher than Model 1`."""
    relation = {
        "higher": "higher than",
        "lower": "lower than",
        "not_higher": "not higher than",
        "equivalent": "equivalent to",
    }[check.relation]
    than = {"write_up": "the write-up’s number", "target": "the target"}.get(check.than)
    return f"{METRICS[check.metric]}: {title(check.of)} {relation} {than or title(check.than)}"


def decimals(check: CheckResult) -> tuple[int, int]:
    """Return the decimals of a check's metric, and of its difference: a mean has one more."""
    digits = run_table.DECIMALS[check.metric]
    return digits, digits + 1 if check.interval else digits


def pair_rows(models: Models, published: WriteUp) -> list[PairRow]:
    """Compare the trained networks that claims compare: McNemar's exact test, Holm's correction."""
    pairs = [
        (claim.quote, *claim.compares)
        for claim in published.claims
        if claim.compares and models.metrics.keys() >= {*claim.compares}
    ]
    results = [statistics.compare(models.correct[a], models.correct[b]) for _, a, b in pairs]
    corrected = statistics.holm([each.p for each in results])
    return [
        PairRow(
            quote=quote,
            a=a,
            b=b,
            accuracies=(accuracy(models.correct[a]), accuracy(models.correct[b])),
            result=result,
            p_holm=p,
            loss=difference(models.metrics[b].loss, models.metrics[a].loss),
            parameters=difference(models.metrics[b].parameters, models.metrics[a].parameters),
        )
        for (quote, a, b), result, p in zip(pairs, results, corrected, strict=True)
    ]


def accuracy(correct: Correct) -> tuple[float, Interval]:
    """Return an accuracy with its 95% CI, percent."""
    return float(100 * correct.mean()), statistics.accuracy_interval(correct)


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
        found.append(Summary(model, lines, bool(reference), lines != reference))
    return found
