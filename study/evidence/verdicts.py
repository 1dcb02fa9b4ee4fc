"""Verdicts on the claims of the write-up: the checks in claims.yaml, run on metrics/runs.csv."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from study.base.errors import UserError, quote
from study.base.yaml_io import from_yaml
from study.evidence import statistics
from study.evidence.run_table import DECIMALS, Row, resolution
from study.evidence.statistics import MeanCI
from study.evidence.write_up import QuotedClaim, WriteUp

LEVEL = 1 - statistics.CONFIDENCE

Verdict = Literal["supported", "contradicted", "inconclusive"]
ACCURACIES = ("accuracy", "best_accuracy", "train_accuracy")
COUNT = "parameters"
"""The metric that is a count: it is the same for every seed."""


class Check(BaseModel):
    """One testable part of a claim: a metric of a configuration compared with a baseline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    """A metric in metrics/runs.csv."""
    of: str
    """Id of the configuration."""
    relation: Literal["higher", "lower", "not_higher", "equivalent"] = Field(alias="is")
    than: str
    """Baseline: the id of another configuration, or `write_up` or `target` for a number of the
    write-up."""


@dataclass(frozen=True)
class CheckResult:
    """Result of one check. Value, baseline and difference are in the unit of the metric."""

    metric: str
    of: str
    relation: str
    than: str
    seeds: tuple[int, ...]
    """Seeds with a run on both sides."""
    value: float | None
    """Mean over these seeds; None if it is not finite."""
    baseline: float | None
    """Mean of the baseline over these seeds, or the number of the write-up."""
    difference: float | None
    """Value minus baseline."""
    interval: statistics.Interval | None
    """95% CI of the difference, paired by seed; None for a count or for fewer than two seeds."""
    published: tuple[float | None, float | None] | None
    """Published value and baseline; None if neither is published."""
    p_for: float
    """Two-sided p-value for the check; 1 if there are too few runs."""
    p_against: float
    """Two-sided p-value for the opposite."""
    verdict: Verdict
    """Verdict of this check alone, at level 0.05."""


@dataclass(frozen=True)
class Claim:
    """A claim of the write-up with the results of its checks."""

    id: str
    quote: str
    checks: tuple[CheckResult, ...]
    p: float
    """p-value of the direction that the runs favor: for or against the claim."""
    p_holm: float
    """The same, after Holm's correction for all claims."""
    verdict: Verdict
    """Verdict at level 0.05 from the corrected p-value."""


def read(text: str, published: WriteUp, configurations: Iterable[str]) -> dict[str, list[Check]]:
    """Return the checks of each claim, by id, in the order of the write-up.

    `configurations` are the ids in experiments.yaml. Raises UserError for anything unknown or
    missing.
    """
    checks = from_yaml(dict[str, list[Check]], "claims.yaml", text)
    claims = {claim.id: claim for claim in published.claims}
    known = tuple(configurations)
    for name, its_checks in checks.items():
        if name not in claims:
            raise UserError(f"claims.yaml: {quote(name)}: give one of {', '.join(claims)}")
        for number, check in enumerate(its_checks):
            if mistake := find_mistake(check, claims[name], known):
                raise UserError(f"claims.yaml: {name}.{number}: {mistake}")
    for name in claims:
        if not checks.get(name):
            raise UserError(f"claims.yaml: {name}: no check of this claim; give at least one")
    return {name: checks[name] for name in claims}


def find_mistake(check: Check, claim: QuotedClaim, configurations: Sequence[str]) -> str | None:
    """Return what is wrong with a check, or None."""
    if check.metric not in DECIMALS:
        return f"metric = {quote(check.metric)}: give one of {', '.join(DECIMALS)}"
    if check.of not in configurations:
        return f"of = {quote(check.of)}: give an id of experiments.yaml"
    if check.relation in ("not_higher", "equivalent") and check.metric not in ACCURACIES:
        return f"is = {check.relation}: give higher or lower, or an accuracy as the metric"
    if check.than == "target":
        return None if check.metric == "accuracy" else "than = target: it is an accuracy"
    if check.than == "write_up":
        if len(claimed(claim, check.metric)) == 1:
            return None
        return f"than = write_up: it does not give one {check.metric} with this claim"
    if check.than not in configurations or check.than == check.of:
        return f"than = {quote(check.than)}: give another id of experiments.yaml"
    return None


def claimed(claim: QuotedClaim, metric: str) -> list[float]:
    """Return the numbers that a claim quotes for a metric."""
    numbers = (getattr(each, metric, None) for each in claim.metrics)
    return [number for number in numbers if number is not None]


def evaluate_claims(
    checks: Mapping[str, Sequence[Check]],
    published: WriteUp,
    rows: Iterable[Row],
    margin: float,
    defaults: Collection[str],
) -> list[Claim]:
    """Run the checks of each claim and return the verdicts.

    Accuracies within `margin` points of each other count as equivalent. `defaults` are the ids of
    the configurations that are a model as params.yaml has it.

    A claim is supported if all of its checks are, so its p-value is the largest of theirs (Berger
    1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295). It is
    contradicted if one of them is: the smallest, times their number (Bonferroni).
    """
    runs: dict[str, dict[int, Row]] = {}
    for row in rows:
        runs.setdefault(row.configuration, {})[row.recipe.seed] = row
    claims = {claim.id: claim for claim in published.claims}
    results = {
        name: tuple(
            run_check(check, claims[name], published, runs, margin, defaults)
            for check in its_checks
        )
        for name, its_checks in checks.items()
    }
    both = [
        (
            max(each.p_for for each in of_claim),
            min(len(of_claim) * min(each.p_against for each in of_claim), 1.0),
        )
        for of_claim in results.values()
    ]
    ps = [p_for if favors_claim(p_for, p_against) else p_against for p_for, p_against in both]
    return [
        Claim(
            id=name,
            quote=claims[name].quote,
            checks=of_claim,
            p=round_p(p),
            p_holm=round_p(p_holm),
            verdict=verdict(favors_claim(*for_and_against), p_holm),
        )
        for (name, of_claim), for_and_against, p, p_holm in zip(
            results.items(), both, ps, statistics.holm(ps), strict=True
        )
    ]


def favors_claim(p_for: float, p_against: float) -> bool:
    """Return True if the runs favor the claim, however little."""
    return p_for <= p_against


def verdict(favors: bool, p: float) -> Verdict:
    """Return the verdict at level 0.05 from the p-value of the favored direction."""
    if p >= LEVEL:
        return "inconclusive"
    return "supported" if favors else "contradicted"


def run_check(
    check: Check,
    claim: QuotedClaim,
    published: WriteUp,
    runs: Mapping[str, Mapping[int, Row]],
    margin: float,
    defaults: Collection[str],
) -> CheckResult:
    """Run one check; `runs` are by configuration and seed."""
    fixed = {
        "target": [published.target.accuracy],
        "write_up": claimed(claim, check.metric),
    }.get(check.than)
    ours, theirs = runs.get(check.of, {}), runs.get(check.than, {})
    seeds = tuple(sorted(ours if fixed else ours.keys() & theirs.keys()))
    values = [float(ours[seed].metrics[check.metric]) for seed in seeds]
    baselines = (
        fixed * len(seeds)
        if fixed
        else [float(theirs[seed].metrics[check.metric]) for seed in seeds]
    )
    differences = [value - baseline for value, baseline in zip(values, baselines, strict=True)]
    p_for, p_against = p_values(check, differences, margin)
    mean = average(differences, check.metric)
    interval = mean.interval if mean and check.metric != COUNT else None
    value, baseline = average(values, check.metric), average(baselines, check.metric)
    sides = (
        (None, None)
        if fixed
        else (
            published_metric(check.metric, ours, published, defaults),
            published_metric(check.metric, theirs, published, defaults),
        )
    )
    return CheckResult(
        metric=check.metric,
        of=check.of,
        relation=check.relation,
        than=check.than,
        seeds=seeds,
        value=rounded(value.mean, check) if value else None,
        baseline=rounded(baseline.mean, check) if baseline else None,
        difference=rounded(mean.mean, check) if mean else None,
        interval=(rounded(interval[0], check), rounded(interval[1], check)) if interval else None,
        published=None if sides == (None, None) else sides,
        p_for=round_p(p_for),
        p_against=round_p(p_against),
        verdict=verdict(favors_claim(p_for, p_against), min(p_for, p_against)),
    )


def published_metric(
    metric: str, runs: Mapping[int, Row], published: WriteUp, defaults: Collection[str]
) -> float | None:
    """Return the published metric of a model if these are runs of its default configuration."""
    for row in runs.values():
        if row.configuration in defaults and row.model in published.models:
            found: float | None = getattr(published.models[row.model], metric, None)
            return found
    return None


def p_values(check: Check, differences: Sequence[float], margin: float) -> tuple[float, float]:
    """Return two-sided p-values for and against a check, given the paired differences.

    Equivalence takes two one-sided tests: Schuirmann 1987, "A comparison of the two one-sided tests
    procedure and the power approach for assessing the equivalence of average bioavailability",
    Journal of Pharmacokinetics and Biopharmaceutics 15:657. At level 0.05, two-sided, each decision
    follows from the 95% CI: equivalent if it lies within ± margin, not equivalent if it lies
    outside.
    """
    enough = 1 if check.metric == COUNT else 2
    # A failed training can leave a metric that is not finite.
    if len(differences) < enough or not all(map(math.isfinite, differences)):
        return 1.0, 1.0

    def above(bound: float) -> float:
        return statistics.p_above(differences, bound, resolution(check.metric))

    def below(bound: float) -> float:
        return statistics.p_below(differences, bound, resolution(check.metric))

    p_for, p_against = {
        "higher": (above(0), below(0)),
        "lower": (below(0), above(0)),
        "not_higher": (below(margin), above(margin)),
        "equivalent": (max(below(margin), above(-margin)), min(above(margin), below(-margin))),
    }[check.relation]
    return min(2 * p_for, 1.0), min(2 * p_against, 1.0)


def average(values: Sequence[float], metric: str) -> MeanCI | None:
    """Return the mean of a metric; None if there are no values or one of them is not finite."""
    finite = values and all(map(math.isfinite, values))
    return statistics.mean_ci(values, resolution(metric)) if finite else None


def rounded(value: float, check: Check) -> float:
    """Return a metric with two decimals more than one run has."""
    return round(value, DECIMALS[check.metric] + 2)


def round_p(p: float) -> float:
    """Return a p-value with three digits: more would differ between processors."""
    return float(f"{p:.3g}")


def to_json(claims: Sequence[Claim]) -> str:
    """Return the claims as JSON."""
    return json.dumps([asdict(claim) for claim in claims], indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Claim]:
    """Read the output of `to_json`."""
    return TypeAdapter(list[Claim]).validate_json(text)
