"""The contents of metrics/claims.json: verdicts on the claims in claims.yaml, and their numbers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter

from study.evidence.claims_file import ACCURACIES, Relation
from study.evidence.statistics import Interval

MISSING: Literal["missing runs"] = "missing runs"

Verdict = Literal["supported", "contradicted", "inconclusive", "missing runs"]


@dataclass(frozen=True)
class CheckResult:
    """Result of one check, in the unit of its metric; None while runs are missing."""

    metric: str
    of: str
    relation: Relation
    than: str
    n: int | None = None
    """Number of runs of A."""
    a: float | None = None
    """Mean of A."""
    b: float | None = None
    """Mean of B, or the target."""
    difference: float | None = None
    """A - B."""
    interval: Interval | None = None
    """Interval of the difference at the level of the verdict; None for a count."""
    p: float | None = None
    """One-sided p-value of the direction that the runs favor: for or against the check."""
    factor: int | None = None
    """What corrects the p-value: the number of claims that Holm's procedure still has to decide
    and, against a claim, also the number of its tests."""
    p_adjusted: float | None = None
    """The p-value times the factor, at most 1."""
    p_superior: float | None = None
    """Probability that one run of A has a higher value than one of B; None for a count."""
    verdict: Verdict = MISSING

    @property
    def is_about_accuracy(self) -> bool:
        """True if its difference is one of accuracies, in points."""
        return self.metric in ACCURACIES


@dataclass(frozen=True)
class Claim:
    """A claim with the results of its checks."""

    id: str
    checks: tuple[CheckResult, ...]
    verdict: Verdict
    title: str = ""
    """The claim in a few words."""
    quote: str | None = None
    """The words of the write-up; None for a claim of our own."""
    note: str | None = None
    """What to know about its checks, if anything."""
    p: float | None = None
    """One-sided p-value of the direction that the runs favor, for or against the claim; None if a
    count decides it, which needs no test."""
    p_adjusted: float | None = None
    """The same, after Holm's correction for the claims of its family."""
    without_pilot: Verdict | None = None
    """Verdict without the seeds of the pilot; None if too few are left, or without a pilot."""


@dataclass(frozen=True)
class NumberResult:
    """A number of the write-up among our runs."""

    metric: str
    of: str
    published: float
    mean: float
    """Mean of our runs."""
    interval: Interval
    """95% prediction interval of one run."""
    reproduced: bool
    """True if the number is within the interval."""


@dataclass(frozen=True)
class ControlResult:
    """Two configurations that compute the same function."""

    metric: str
    of: str
    than: str
    a: float
    b: float
    difference: float
    interval: Interval
    """95% CI of the difference."""
    p: float
    """Two-sided p-value of Welch's test."""
    p_superior: float


@dataclass(frozen=True)
class Verdicts:
    """The contents of metrics/claims.json."""

    runs: int
    """Number of runs that experiments.yaml declares of the configurations in claims.yaml."""
    missing: Mapping[str, int]
    """How many of them metrics/runs.csv does not have, by configuration; nothing is judged then."""
    claims: tuple[Claim, ...]
    questions: tuple[Claim, ...]
    numbers: tuple[NumberResult, ...] = ()
    control: ControlResult | None = None


def to_json(verdicts: Verdicts) -> str:
    """Return the verdicts as JSON."""
    return json.dumps(asdict(verdicts), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Verdicts:
    """Read the output of `to_json`."""
    return TypeAdapter(Verdicts).validate_json(text)
