"""The documents' conclusions, put to the test: claims.yaml against the runs in the ledger."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from study.base.errors import UserError, quote
from study.base.yaml_io import from_yaml
from study.evidence import statistics
from study.evidence.run_table import DECIMALS, Row, step
from study.evidence.statistics import Mean
from study.evidence.write_up import Conclusion, Documents

LEVEL = 1 - statistics.CONFIDENCE

Verdict = Literal["holds", "does not hold", "cannot be told"]
ACCURACIES = ("accuracy", "best_accuracy", "train_accuracy")
EXACT = "parameters"
"""A figure that no seed changes."""


class Statement(BaseModel):
    """One thing that a conclusion says: how a figure of an experiment stands to something."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    """One of the ledger's."""
    of: str
    """An experiment's id."""
    relation: Literal["above", "below", "not above", "same"] = Field(alias="is")
    against: str
    """Another experiment's id, or a number of the documents: `documents` or `target`."""


@dataclass(frozen=True)
class Result:
    """What came of a test, by itself. Value, baseline and difference are in the figure's unit."""

    figure: str
    of: str
    relation: str
    against: str
    seeds: tuple[int, ...]
    """On which both sides have run."""
    value: float | None
    """The mean over these seeds; None where it is no number."""
    baseline: float | None
    """That of the other side, or the documents' number."""
    difference: float | None
    """Value less baseline."""
    interval: statistics.Interval | None
    """95 % interval of the difference, seed by seed; None of fewer than two seeds."""
    documents: tuple[float | None, float | None] | None
    """What the documents have for value and baseline; None where they have neither."""
    p_for: float
    """Two-sided p-value for what the test says; 1 where there are too few runs to tell."""
    p_against: float
    """For the contrary."""
    verdict: Verdict
    """At level 0.05, of this test alone: what the interval says."""


@dataclass(frozen=True)
class Claim:
    """A conclusion of the documents and what came of it: of all of its tests together."""

    id: str
    words: str
    tests: tuple[Result, ...]
    p: float
    """For the conclusion or against it, whichever the runs speak for."""
    p_holm: float
    """Corrected for all conclusions."""
    verdict: Verdict
    """At level 0.05, by the corrected p."""


def read(text: str, documents: Documents, experiments: Iterable[str]) -> dict[str, list[Statement]]:
    """Return the tests of each conclusion, by its id, in the documents' order.

    `experiments` are the ids in experiments.yaml. Raises UserError for what is unknown or missing.
    """
    claims = from_yaml(dict[str, list[Statement]], "claims.yaml", text)
    conclusions = {conclusion.id: conclusion for conclusion in documents.conclusions}
    known = tuple(experiments)
    for name, tests in claims.items():
        if name not in conclusions:
            raise UserError(f"claims.yaml: {quote(name)}: give one of {', '.join(conclusions)}")
        for number, test in enumerate(tests):
            if mistake := wrong(test, conclusions[name], known):
                raise UserError(f"claims.yaml: {name}.{number}: {mistake}")
    for name in conclusions:
        if not claims.get(name):
            raise UserError(f"claims.yaml: {name}: no test of this conclusion; give at least one")
    return {name: claims[name] for name in conclusions}


def wrong(test: Statement, conclusion: Conclusion, experiments: Sequence[str]) -> str | None:
    """Say what is wrong with a test, if anything is."""
    if test.figure not in DECIMALS:
        return f"figure = {quote(test.figure)}: give one of {', '.join(DECIMALS)}"
    if test.of not in experiments:
        return f"of = {quote(test.of)}: give an id of experiments.yaml"
    if test.relation in ("not above", "same") and test.figure not in ACCURACIES:
        return f"is = {test.relation}: give above or below, or an accuracy as the figure"
    if test.against == "target":
        return None if test.figure == "accuracy" else "against = target: it is an accuracy"
    if test.against == "documents":
        if len(documented(conclusion, test.figure)) == 1:
            return None
        return f"against = documents: they do not give one {test.figure} with this conclusion"
    if test.against not in experiments or test.against == test.of:
        return f"against = {quote(test.against)}: give another id of experiments.yaml"
    return None


def documented(conclusion: Conclusion, figure: str) -> list[float]:
    """Return the numbers that the documents give for a figure in a conclusion's words."""
    numbers = (getattr(each, figure, None) for each in conclusion.figures)
    return [number for number in numbers if number is not None]


def judge(
    claims: Mapping[str, Sequence[Statement]],
    documents: Documents,
    rows: Iterable[Row],
    margin: float,
) -> list[Claim]:
    """Hold each conclusion against the runs; accuracies as far apart as `margin` are the same.

    A conclusion holds when all of its tests do, so the largest of their p-values is its own: Berger
    1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295. It does
    not hold when one of them does not: the smallest, times their number (Bonferroni).
    """
    runs: dict[str, dict[int, Row]] = {}
    for row in rows:
        runs.setdefault(row.experiment, {})[row.recipe.seed] = row
    conclusions = {conclusion.id: conclusion for conclusion in documents.conclusions}
    results = {
        name: tuple(examine(test, conclusions[name], documents, runs, margin) for test in tests)
        for name, tests in claims.items()
    }
    weighed = [
        (
            max(each.p_for for each in tests),
            min(len(tests) * min(each.p_against for each in tests), 1.0),
        )
        for tests in results.values()
    ]
    ps = [p_for if speaks_for(p_for, p_against) else p_against for p_for, p_against in weighed]
    return [
        Claim(
            name,
            conclusions[name].words,
            tests,
            significant(p),
            significant(p_holm),
            verdict(speaks_for(*both), p_holm),
        )
        for (name, tests), both, p, p_holm in zip(
            results.items(), weighed, ps, statistics.holm(ps), strict=True
        )
    ]


def speaks_for(p_for: float, p_against: float) -> bool:
    """Whether the runs speak for what is said, however little."""
    return p_for <= p_against


def verdict(speaks_for: bool, p: float) -> Verdict:
    """Return the verdict at level 0.05, from the p-value of what the runs speak for."""
    if p >= LEVEL:
        return "cannot be told"
    return "holds" if speaks_for else "does not hold"


def examine(
    test: Statement,
    conclusion: Conclusion,
    documents: Documents,
    runs: Mapping[str, Mapping[int, Row]],
    margin: float,
) -> Result:
    """Put one thing that a conclusion says to the test; `runs` are by experiment and seed."""
    fixed = {
        "target": [documents.target.accuracy],
        "documents": documented(conclusion, test.figure),
    }.get(test.against)
    ours, theirs = runs.get(test.of, {}), runs.get(test.against, {})
    seeds = tuple(sorted(ours if fixed else ours.keys() & theirs.keys()))
    values = [float(ours[seed].metrics[test.figure]) for seed in seeds]
    baselines = (
        fixed * len(seeds)
        if fixed
        else [float(theirs[seed].metrics[test.figure]) for seed in seeds]
    )
    differences = [value - baseline for value, baseline in zip(values, baselines, strict=True)]
    p_for, p_against = weigh(test, differences, margin)
    mean = average(differences, test.figure)
    interval = mean.interval if mean and test.figure != EXACT else None
    value, baseline = average(values, test.figure), average(baselines, test.figure)
    sides = (
        None if fixed else logged(test.figure, ours, documents),
        None if fixed else logged(test.figure, theirs, documents),
    )
    return Result(
        test.figure,
        test.of,
        test.relation,
        test.against,
        seeds,
        rounded(value.mean, test) if value else None,
        rounded(baseline.mean, test) if baseline else None,
        rounded(mean.mean, test) if mean else None,
        (rounded(interval[0], test), rounded(interval[1], test)) if interval else None,
        None if sides == (None, None) else sides,
        significant(p_for),
        significant(p_against),
        verdict(speaks_for(p_for, p_against), min(p_for, p_against)),
    )


def logged(figure: str, runs: Mapping[int, Row], documents: Documents) -> float | None:
    """Return what the documents have for a figure of a model as it is."""
    for row in runs.values():
        if row.is_plain and row.model in documents.models:
            found: float | None = getattr(documents.models[row.model], figure, None)
            return found
    return None


def weigh(test: Statement, differences: Sequence[float], margin: float) -> tuple[float, float]:
    """Return two p-values, two-sided: for what a test says of these differences, and against it.

    That two are the same is shown by two one-sided tests: Schuirmann 1987, "A comparison of the two
    one-sided tests procedure and the power approach for assessing the equivalence of average
    bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15:657. At level 0.05,
    two-sided, each decision is that of the 95 % interval: the same, when it lies within ± margin,
    not the same, when it lies beyond.
    """
    enough = 1 if test.figure == EXACT else 2
    # After a failed training, a figure may be no number.
    if len(differences) < enough or not all(map(math.isfinite, differences)):
        return 1.0, 1.0

    def above(bound: float) -> float:
        return statistics.p_above(differences, bound, step(test.figure))

    def below(bound: float) -> float:
        return statistics.p_below(differences, bound, step(test.figure))

    p_for, p_against = {
        "above": (above(0), below(0)),
        "below": (below(0), above(0)),
        "not above": (below(margin), above(margin)),
        "same": (max(below(margin), above(-margin)), min(above(margin), below(-margin))),
    }[test.relation]
    return min(2 * p_for, 1.0), min(2 * p_against, 1.0)


def average(values: Sequence[float], figure: str) -> Mean | None:
    """Return the mean of a figure; None where there is none or it is no number."""
    finite = values and all(map(math.isfinite, values))
    return statistics.mean(values, step(figure)) if finite else None


def rounded(value: float, test: Statement) -> float:
    """Return a figure with two decimals more than one run has."""
    return round(value, DECIMALS[test.figure] + 2)


def significant(p: float) -> float:
    """Return a p-value with three digits: more would not be the same on every processor."""
    return float(f"{p:.3g}")


def to_json(claims: Sequence[Claim]) -> str:
    """Write the claims, one after the other."""
    return json.dumps([asdict(claim) for claim in claims], indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Claim]:
    """Read what `to_json` wrote."""
    return TypeAdapter(list[Claim]).validate_json(text)
