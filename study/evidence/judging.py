"""Verdicts on the claims in claims.yaml, from the runs in metrics/runs.csv.

docs/statistics.md declares the procedure; this module is it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from study.evaluation.metrics import METRICS
from study.evidence import statistics
from study.evidence.claims_file import (
    COUNT,
    TARGET,
    Check,
    ClaimsFile,
    Control,
    Number,
    Relation,
    published_number,
)
from study.evidence.configurations import ExperimentsFile
from study.evidence.run_table import Row, by_configuration, metric_values
from study.evidence.statistics import LEVEL, Difference, Floats
from study.evidence.verdicts import (
    MISSING,
    CheckResult,
    Claim,
    ControlResult,
    NumberResult,
    Verdict,
    Verdicts,
)
from study.evidence.write_up import Target, WriteUp

PLAN = "870c88be843f48ef606405b8f877c9b8a57b580c"
"""The commit that declared the procedure, for the report.

A test, not this module, checks that the revision of each run descends from it.
"""
PILOT = range(1, 6)
"""The seeds of the pilot, whose verdicts we knew before PLAN."""


@dataclass(frozen=True)
class Samples:
    """The runs that a verdict is made of."""

    runs: Mapping[str, Sequence[Row]]
    """Runs by configuration."""
    seeds: Mapping[str, Collection[int]]
    """Seeds to take by configuration: all of them have a run."""
    target: Target

    def of(self, configuration: str, metric: str) -> list[float]:
        """Return a metric of each of these runs of a configuration."""
        seeds = self.seeds[configuration]
        runs = (run for run in self.runs[configuration] if run.recipe.seed in seeds)
        return metric_values(runs, metric)

    def pair(self, check: Check) -> tuple[list[float], list[float] | float]:
        """Return the values of A and B; one number for the target."""
        a = self.of(check.of, check.metric)
        if check.than != TARGET:
            return a, self.of(check.than, check.metric)
        return a, float(self.target.parameters if check.metric == COUNT else self.target.accuracy)

    def without(self, seeds: Collection[int]) -> "Samples":
        """Return the same runs without those with some seeds."""
        return replace(self, seeds={name: {*of} - {*seeds} for name, of in self.seeds.items()})


def judge(
    file: ClaimsFile,
    published: WriteUp,
    experiments: ExperimentsFile,
    rows: Iterable[Row],
    margin: float,
) -> Verdicts:
    """Return the verdicts from the runs, or how many runs are missing.

    `rows` are runs on the test set. Accuracies within `margin` points of each other count as
    equivalent.
    """
    runs = by_configuration(rows)
    declared = {name: experiments.seeds_of[name] for name in file.configurations}
    missing = {
        name: len({*every} - {run.recipe.seed for run in runs.get(name, ())})
        for name, every in declared.items()
    }
    missing = {name: count for name, count in missing.items() if count}
    total = sum(map(len, declared.values()))
    quotes = {claim.id: claim.quote for claim in published.claims}
    samples = Samples(runs, declared, published.target)
    claims, questions = (
        tuple(
            replace(
                claim,
                title=file.titles[claim.id],
                quote=quotes.get(claim.id),
                note=file.notes.get(claim.id),
            )
            for claim in (unjudged(family) if missing else judge_family(family, samples, margin))
        )
        for family in (file.claims, file.questions)
    )
    if missing:
        return Verdicts(total, missing, claims, questions)
    return Verdicts(
        total,
        missing,
        claims,
        questions,
        tuple(
            compare_number(number, float(known), samples)
            for number in file.numbers
            if (known := published_number(number, published, experiments)) is not None
        ),
        run_control(file.control, samples) if file.control else None,
    )


def unjudged(family: Mapping[str, Sequence[Check]]) -> tuple[Claim, ...]:
    """Return the claims of a family, with nothing known about them."""
    return tuple(
        Claim(name, tuple(map(unmeasured, checks)), MISSING) for name, checks in family.items()
    )


def unmeasured(check: Check) -> CheckResult:
    """Return a check, with nothing known about it."""
    return CheckResult(check.metric, check.of, check.relation, check.than)


def judge_family(
    family: Mapping[str, Sequence[Check]], samples: Samples, margin: float
) -> tuple[Claim, ...]:
    """Return the verdicts on a family of claims, and beside them those without the pilot."""
    later = samples.without(PILOT)
    enough = bool(PILOT) and all(len(seeds) > 1 for seeds in later.seeds.values())
    without_pilot = decide_family(family, later, margin) if enough else {}
    return tuple(
        replace(claim, without_pilot=without_pilot[name].verdict if enough else None)
        for name, claim in decide_family(family, samples, margin).items()
    )


def decide_family(
    family: Mapping[str, Sequence[Check]], samples: Samples, margin: float
) -> dict[str, Claim]:
    """Return the verdicts on a family of claims, by id."""
    counts = {
        name: {check: count(check, samples) for check in checks if check.metric == COUNT}
        for name, checks in family.items()
    }
    tests = {
        name: {
            check: Prediction(check.relation, statistics.difference(*samples.pair(check)), margin)
            for check in checks
            if check.metric != COUNT
        }
        for name, checks in family.items()
    }
    tested = [
        name
        for name in family
        if tests[name] and all(each.verdict == "supported" for each in counts[name].values())
    ]
    ps = np.array([claim_p([*tests[name].values()]) for name in tested])
    corrected = statistics.holm(ps)
    claims = {}
    for name, checks in family.items():
        index = tested.index(name) if name in tested else None
        left = 1 if index is None else int(corrected.left[index])
        results = counts[name] | {
            check: measure(check, test, samples, len(tests[name]), left)
            for check, test in tests[name].items()
        }
        claims[name] = Claim(
            id=name,
            checks=tuple(results[check] for check in checks),
            verdict=combined([results[check].verdict for check in checks]),
            p=None if index is None else round_p(ps[index]),
            p_adjusted=None if index is None else round_p(corrected.adjusted[index]),
        )
    return claims


def combined(verdicts: Collection[Verdict]) -> Verdict:
    """Return the verdict on a claim from those on its checks."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if {*verdicts} == {"supported"} else "inconclusive"


@dataclass(frozen=True)
class Prediction:
    """A prediction about a difference, tested in one study or in an array of them."""

    relation: Relation
    difference: Difference
    margin: float
    """Accuracies within it count as equivalent, in points."""

    @property
    def ps(self) -> tuple[Floats, Floats]:
        """One-sided p-values for and against the prediction.

        Equivalence takes two tests: Schuirmann 1987, "A comparison of the two one-sided tests
        procedure and the power approach for assessing the equivalence of average bioavailability",
        Journal of Pharmacokinetics and Biopharmaceutics 15:657.
        """
        above, below, margin = self.difference.p_above, self.difference.p_below, self.margin
        match self.relation:
            case "higher":
                return above(0), below(0)
            case "lower":
                return below(0), above(0)
            case "not_higher":
                return below(margin), above(margin)
            case "equivalent":
                inside = np.maximum(below(margin), above(-margin))
                outside = np.minimum(above(margin), below(-margin))
                return inside, outside

    @property
    def favors(self) -> NDArray[np.bool_]:
        """True if the difference is as predicted, however uncertain it is."""
        p_for, p_against = self.ps
        return p_for <= p_against

    def factor(self, checks: int, left: ArrayLike) -> NDArray[np.int64]:
        """Return the factor that corrects the p-value of the favored direction.

        `checks` is the number of tests in the claim: one against it is enough. `left` is the number
        of claims that are left when Holm's procedure decides it.
        """
        return np.asarray(left, np.int64) * np.where(self.favors, 1, checks)

    def verdicts(self, checks: int, left: ArrayLike) -> NDArray[np.str_]:
        """Return the verdict on the check, `checks` and `left` as for `factor`."""
        p = np.minimum(*self.ps) * self.factor(checks, left)
        favored = np.where(self.favors, "supported", "contradicted")
        return np.where(p <= LEVEL, favored, "inconclusive")


def claim_p(tests: Sequence[Prediction]) -> Floats:
    """Return the p-values of the direction that the runs favor: for or against a claim.

    For it, the largest one of the checks: Berger 1982, "Multiparameter hypothesis testing and
    acceptance sampling", Technometrics 24:295. Against it, the smallest one times their number
    (Bonferroni).
    """
    p_for, p_against = zip(*(test.ps for test in tests), strict=True)
    least = np.minimum(np.max(p_for, axis=0), len(tests) * np.min(p_against, axis=0))
    return np.asarray(np.minimum(least, 1))


def measure(
    check: Check, test: Prediction, samples: Samples, checks: int, left: int
) -> CheckResult:
    """Return the result of a check of a claim with `checks` tests, decided with `left` left."""
    a, b = samples.pair(check)
    factor = int(test.factor(checks, left))
    p = float(np.minimum(*test.ps))
    low, high = test.difference.interval(LEVEL / factor)
    verdict: Verdict = str(test.verdicts(checks, left))  # type: ignore[assignment]
    return replace(
        unmeasured(check),
        n=len(a),
        a=rounded(np.mean(a), check.metric),
        b=rounded(np.mean(b), check.metric),
        difference=rounded(test.difference.mean, check.metric),
        interval=(rounded(low, check.metric), rounded(high, check.metric)),
        p=round_p(p),
        factor=factor,
        p_adjusted=round_p(min(factor * p, 1)),
        p_superior=round(statistics.p_superior(a, b), 3),
        verdict=verdict,
    )


def count(check: Check, samples: Samples) -> CheckResult:
    """Return the result of a check of counts."""
    a, b = (float(np.mean(values)) for values in samples.pair(check))
    return replace(
        unmeasured(check),
        n=len(samples.seeds[check.of]),
        a=a,
        b=b,
        difference=a - b,
        verdict="supported" if (a > b if check.relation == "higher" else a < b) else "contradicted",
    )


def compare_number(number: Number, published: float, samples: Samples) -> NumberResult:
    """Return where a number of the write-up is among our runs."""
    ours = statistics.mean(samples.of(number.of, number.metric))
    assert ours.prediction
    low, high = ours.prediction
    return NumberResult(
        metric=number.metric,
        of=number.of,
        published=published,
        mean=rounded(ours.mean, number.metric),
        interval=(rounded(low, number.metric), rounded(high, number.metric)),
        reproduced=low <= published <= high,
    )


def run_control(control: Control, samples: Samples) -> ControlResult:
    """Return the comparison of the two configurations."""
    a, b = (samples.of(name, control.metric) for name in (control.of, control.than))
    difference = statistics.difference(a, b)
    low, high = difference.interval(LEVEL / 2)
    return ControlResult(
        metric=control.metric,
        of=control.of,
        than=control.than,
        a=rounded(np.mean(a), control.metric),
        b=rounded(np.mean(b), control.metric),
        difference=rounded(difference.mean, control.metric),
        interval=(rounded(low, control.metric), rounded(high, control.metric)),
        p=round_p(min(1, 2 * float(np.minimum(difference.p_above(0), difference.p_below(0))))),
        p_superior=round(statistics.p_superior(a, b), 3),
    )


def rounded(value: Floats | np.floating[Any] | float, metric: str) -> float:
    """Return a mean with two decimals more than its metric has."""
    return round(float(value), METRICS[metric].decimals + 2) + 0.0


def round_p(p: float) -> float:
    """Return a p-value with three digits: more would differ between processors."""
    return float(f"{p:.3g}")
