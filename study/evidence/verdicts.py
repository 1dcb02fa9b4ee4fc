"""Verdicts on the claims of the write-up: the checks in claims.yaml, run on metrics/runs.csv."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from study.base.errors import UserError, quote
from study.base.yaml_io import load
from study.evidence import statistics
from study.evidence.run_table import DECIMALS, Row, by_configuration, by_seed, resolution
from study.evidence.statistics import PairedDifference
from study.evidence.write_up import QuotedClaim, WriteUp

NAME = "claims.yaml"
LEVEL = 1 - statistics.CONFIDENCE
ACCURACIES = ("accuracy", "best_accuracy", "train_accuracy")
COUNT = "parameters"
"""The metric that is a count: it is the same for every seed."""

Verdict = Literal["supported", "contradicted", "inconclusive"]


def known_metric(metric: str) -> str:
    """Return the name of a metric. Raises ValueError if metrics/runs.csv does not have it."""
    if metric not in DECIMALS:
        raise ValueError(f"must be one of {', '.join(DECIMALS)}")
    return metric


class Check(BaseModel):
    """One testable part of a claim: a metric of a configuration compared with a baseline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Annotated[str, AfterValidator(known_metric)]
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
    """Mean over these seeds; None without runs or after a failed training."""
    baseline: float | None
    """Mean of the baseline over these seeds, or the number of the write-up; None as for value."""
    difference: float | None
    """Mean of value minus baseline; None as for value."""
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


def read(
    text: str, published: WriteUp, configurations: Collection[str]
) -> dict[str, Sequence[Check]]:
    """Return the checks of each claim, by id, in the order of the write-up.

    `configurations` are the ids in experiments.yaml. Raises UserError, with the line, for anything
    unknown or missing.
    """
    document = load(NAME, text)
    checks = document.to(dict[str, list[Check]])
    claims = {claim.id: claim for claim in published.claims}
    for name, of_claim in checks.items():
        if name not in claims:
            raise UserError(
                f"{document.at(name)}: {quote(name)} is not a claim in reference/write_up.yaml;"
                f" use one of {', '.join(claims)}"
            )
        for number, check in enumerate(of_claim):
            if mistake := find_mistake(check, claims[name], configurations):
                raise UserError(f"{document.at(name, number)}: {mistake}")
    for name in claims:
        if not checks.get(name):
            raise UserError(f"{NAME}: {name} must have at least one check")
    return {name: checks[name] for name in claims}


def find_mistake(check: Check, claim: QuotedClaim, configurations: Collection[str]) -> str | None:
    """Return a message about the first inconsistent key, if any."""
    if check.of not in configurations:
        return f"of must be an id in experiments.yaml, got {quote(check.of)}"
    if check.relation in ("not_higher", "equivalent") and check.metric not in ACCURACIES:
        return (
            f"is must be higher or lower if metric is {check.metric} (the margin is one of"
            f" accuracies), got {check.relation}"
        )
    if check.than == "target":
        if check.metric != "accuracy":
            return f"metric must be accuracy if than is target, got {check.metric}"
    elif check.than == "write_up":
        if len(quoted_numbers(claim, check.metric)) != 1:
            return f"than must be an id: the claim does not quote one {check.metric}, got write_up"
    elif check.than not in configurations or check.than == check.of:
        return (
            "than must be another id in experiments.yaml, write_up or target,"
            f" got {quote(check.than)}"
        )
    return None


def quoted_numbers(claim: QuotedClaim, metric: str) -> list[float]:
    """Return the numbers that a claim quotes for a metric."""
    numbers = (getattr(each, metric, None) for each in claim.metrics)
    return [number for number in numbers if number is not None]


def evaluate_claims(
    checks: Mapping[str, Sequence[Check]],
    published: WriteUp,
    rows: Iterable[Row],
    margin: float,
    defaults: Mapping[str, str],
) -> list[Claim]:
    """Run the checks of each claim and return the verdicts.

    Accuracies within `margin` points of each other count as equivalent. `defaults` are the default
    configurations in experiments.yaml, from id to model.

    A claim is supported if all of its checks are, so its p-value is the largest of theirs (Berger
    1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295). It is
    contradicted if one of them is, so its p-value is the smallest, times their number (Bonferroni).
    """
    runs = by_configuration(rows)
    claims = {claim.id: claim for claim in published.claims}
    results = {
        name: tuple(
            run_check(check, claims[name], published, runs, margin, defaults) for check in of_claim
        )
        for name, of_claim in checks.items()
    }
    p_pairs = [
        (
            max(each.p_for for each in of_claim),
            min(len(of_claim) * min(each.p_against for each in of_claim), 1.0),
        )
        for of_claim in results.values()
    ]
    # The smaller one: that of the favored direction.
    ps = [min(p_pair) for p_pair in p_pairs]
    return [
        Claim(
            id=name,
            quote=claims[name].quote,
            checks=of_claim,
            p=round_p(p),
            p_holm=round_p(p_holm),
            verdict=verdict(favors_claim(*p_pair), p_holm),
        )
        for (name, of_claim), p_pair, p, p_holm in zip(
            results.items(), p_pairs, ps, statistics.holm(ps), strict=True
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
    runs: Mapping[str, Sequence[Row]],
    margin: float,
    defaults: Mapping[str, str],
) -> CheckResult:
    """Run one check; `runs` are by configuration."""
    baseline: Mapping[int, float] | float
    sides = None
    if check.than == "target":
        baseline = published.target.accuracy
    elif check.than == "write_up":
        (baseline,) = quoted_numbers(claim, check.metric)
    else:
        baseline = by_seed(runs.get(check.than, ()), check.metric)
        both = (
            published_metric(check.metric, side, published, defaults)
            for side in (check.of, check.than)
        )
        sides = next(both), next(both)
    values = by_seed(runs.get(check.of, ()), check.metric)
    paired = statistics.paired_difference(values, baseline, resolution(check.metric))
    p_for, p_against = p_values(check, paired, margin)

    def rounded(value: float) -> float:
        return round(value, DECIMALS[check.metric] + 2)

    def mean(values: Sequence[float]) -> float | None:
        return rounded(statistics.mean_ci(values).mean) if paired.is_known else None

    interval = paired.mean.interval if paired.is_known and check.metric != COUNT else None
    return CheckResult(
        metric=check.metric,
        of=check.of,
        relation=check.relation,
        than=check.than,
        seeds=paired.seeds,
        value=mean(paired.values),
        baseline=mean(paired.baselines),
        difference=mean(paired.differences),
        interval=(rounded(interval[0]), rounded(interval[1])) if interval else None,
        published=None if sides == (None, None) else sides,
        p_for=round_p(p_for),
        p_against=round_p(p_against),
        verdict=verdict(favors_claim(p_for, p_against), min(p_for, p_against)),
    )


def published_metric(
    metric: str, configuration: str, published: WriteUp, defaults: Mapping[str, str]
) -> float | None:
    """Return the published metric of a default configuration of a model, if there is one."""
    model = published.models.get(defaults.get(configuration, ""))
    number: float | None = getattr(model, metric, None)
    return number


def p_values(check: Check, paired: PairedDifference, margin: float) -> tuple[float, float]:
    """Return two-sided p-values for and against a check, given the paired difference.

    Equivalence takes two one-sided tests: Schuirmann 1987, "A comparison of the two one-sided tests
    procedure and the power approach for assessing the equivalence of average bioavailability",
    Journal of Pharmacokinetics and Biopharmaceutics 15:657. At level 0.05, two-sided, each decision
    follows from the 95% CI: equivalent if it is within ± margin, not equivalent if it is
    outside.
    """
    enough = 1 if check.metric == COUNT else 2
    if len(paired.seeds) < enough or not paired.is_known:
        return 1.0, 1.0
    above, below = paired.p_above, paired.p_below
    match check.relation:
        case "higher":
            p_for, p_against = above(0), below(0)
        case "lower":
            p_for, p_against = below(0), above(0)
        case "not_higher":
            p_for, p_against = below(margin), above(margin)
        case "equivalent":
            p_for = max(below(margin), above(-margin))
            p_against = min(above(margin), below(-margin))
    return min(2 * p_for, 1.0), min(2 * p_against, 1.0)


def round_p(p: float) -> float:
    """Return a p-value with three digits: more would differ between processors."""
    return float(f"{p:.3g}")


def to_json(claims: Sequence[Claim]) -> str:
    """Return the claims as JSON."""
    return json.dumps([asdict(claim) for claim in claims], indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Claim]:
    """Read the output of `to_json`."""
    return TypeAdapter(list[Claim]).validate_json(text)
