"""claims.yaml: the claims with their checks, and what else is compared with the runs."""

from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from study.base.errors import UserError, quote
from study.base.yaml_io import load
from study.evaluation.metrics import METRICS
from study.evidence.configurations import ExperimentsFile
from study.evidence.write_up import WriteUp

NAME = "claims.yaml"
ACCURACIES = ("accuracy", "best_accuracy", "train_accuracy")
"""The metrics in percent: their differences are in points, as `equivalence_margin` is."""
COUNT = "parameters"
"""The metric that is a count: it is the same for every seed."""
TARGET = "target"

Relation = Literal["higher", "lower", "not_higher", "equivalent"]


def known_metric(metric: str) -> str:
    """Return the name of a metric. Raises ValueError if metrics/runs.csv does not have it."""
    if metric not in METRICS:
        raise ValueError(f"must be one of {', '.join(METRICS)}")
    return metric


MetricName = Annotated[str, AfterValidator(known_metric)]


class Check(BaseModel):
    """One testable part of a claim: a prediction about a metric of A and of B."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: MetricName
    of: str
    """A: the id of a configuration."""
    relation: Relation = Field(alias="is")
    than: str
    """B: the id of another configuration, or `target`."""


class Number(BaseModel):
    """A number that the write-up gives for one run of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: MetricName
    of: str
    quoted_in: str | None = None
    """The claim that quotes it; None if the write-up gives it for the model itself."""


class Control(BaseModel):
    """Two configurations that compute the same function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: MetricName
    of: str
    than: str


class ClaimsFile(BaseModel):
    """The contents of claims.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: dict[str, list[Check]] = {}
    """Checks of each claim of the write-up, by its id."""
    questions: dict[str, Annotated[list[Check], Field(min_length=1)]] = {}
    """Checks of each claim of our own."""
    titles: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """Each claim in a few words, by its id."""
    notes: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """What to know about the checks of a claim, by its id."""
    numbers: tuple[Number, ...] = ()
    control: Control | None = None

    @property
    def configurations(self) -> list[str]:
        """The ids of the configurations that something is said about, sorted."""
        groups = (*self.claims.values(), *self.questions.values())
        pairs: list[Check | Control] = [check for checks in groups for check in checks]
        pairs += [self.control] if self.control else []
        ids = {name for pair in pairs for name in (pair.of, pair.than)}
        return sorted((ids | {number.of for number in self.numbers}) - {TARGET})


def read(text: str, published: WriteUp, experiments: ExperimentsFile) -> ClaimsFile:
    """Return the contents of the text of claims.yaml, its claims in the order of the write-up.

    Raises UserError, with the line, for anything unknown or missing.
    """
    document = load(NAME, text)
    file = document.to(ClaimsFile)
    for place, mistake in _mistakes(file, published, experiments):
        raise UserError(f"{document.at(*place)}: {mistake}")
    ordered = {claim.id: file.claims[claim.id] for claim in published.claims}
    return file.model_copy(update={"claims": ordered})


def descriptions(experiments: ExperimentsFile) -> dict[str, str]:
    """Return the descriptions of configurations, closed trials and the target, by id."""
    return experiments.descriptions | {TARGET: TARGET}


def published_number(
    number: Number, published: WriteUp, experiments: ExperimentsFile
) -> float | None:
    """Return a number of the write-up; None if it does not give exactly one."""
    sources: Iterable[object]
    if number.quoted_in is None:
        sources = [published.models.get(experiments.defaults.get(number.of, ""))]
    else:
        quoting = (claim for claim in published.claims if claim.id == number.quoted_in)
        sources = (metrics for claim in quoting for metrics in claim.metrics)
    found = (getattr(source, number.metric, None) for source in sources)
    values: list[float] = [each for each in found if each is not None]
    return values[0] if len(values) == 1 else None


def _mistakes(
    file: ClaimsFile, published: WriteUp, experiments: ExperimentsFile
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where a mistake is and what it is."""
    known = [claim.id for claim in published.claims]
    ids = experiments.seeds_of
    for name in file.claims:
        if name not in known:
            yield (
                ("claims", name),
                f"{quote(name)} is not a claim in reference/write_up.yaml;"
                f" use one of {', '.join(known)}",
            )
    for name in known:
        if not file.claims.get(name):
            yield ("claims", name), f"{name} must have at least one check"
    for name in file.questions:
        if name in file.claims:
            yield ("questions", name), f"{name} must not be the id of a claim; rename it"
    for group, texts in (("titles", file.titles), ("notes", file.notes)):
        for name in texts:
            if name not in {*file.claims, *file.questions}:
                yield (
                    (group, name),
                    f"{quote(name)} is neither in claims nor in questions; remove it",
                )
    for group, claims in (("claims", file.claims), ("questions", file.questions)):
        for name, checks in claims.items():
            if name not in file.titles:
                yield (group, name), f"{name} must have a title; add one under titles"
            for index, check in enumerate(checks):
                if mistake := _mistake(check, ids):
                    yield (group, name, index), mistake
    for index, number in enumerate(file.numbers):
        if number.of not in ids:
            yield ("numbers", index), unknown_id("of", number.of)
        elif published_number(number, published, experiments) is None:
            where = number.quoted_in or "the model of a default configuration"
            yield (
                ("numbers", index),
                f"metric must be one that reference/write_up.yaml gives once for {quote(where)},"
                f" got {number.metric}",
            )
    if file.control and (mistake := _control_mistake(file.control, ids)):
        yield ("control",), mistake
    for name in file.configurations:
        if len(ids[name]) == 1:
            yield (), f"{name} must have at least two seeds in experiments.yaml, got one"


def _mistake(check: Check, ids: Collection[str]) -> str | None:
    """Return a message about the first inconsistent key of a check, if any."""
    if check.of not in ids:
        return unknown_id("of", check.of)
    if check.relation in ("not_higher", "equivalent") and check.metric not in ACCURACIES:
        return (
            f"`is` must be higher or lower if metric is {check.metric} (the margin is for"
            f" accuracies), got {check.relation}"
        )
    if check.than == TARGET:
        if check.metric not in ("accuracy", COUNT):
            return f"metric must be accuracy or {COUNT} if `than` is target, got {check.metric}"
    elif check.than not in ids or check.than == check.of:
        return f"`than` must be another id in experiments.yaml, or target, got {quote(check.than)}"
    return None


def _control_mistake(control: Control, ids: Collection[str]) -> str | None:
    """Return a message about the first inconsistent key of the control, if any."""
    if control.metric == COUNT:
        return f"metric must not be {COUNT}, which is the same for every seed"
    for key, name in (("of", control.of), ("than", control.than)):
        if name not in ids:
            return unknown_id(key, name)
    if control.than == control.of:
        return f"`than` must be another id than `of`, got {quote(control.than)}"
    return None


def unknown_id(key: str, name: str) -> str:
    """Return the message about an id that experiments.yaml does not have."""
    return f"{key} must be an id in experiments.yaml, got {quote(name)}"
