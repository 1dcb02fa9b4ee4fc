import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from study.base.errors import UserError
from study.evidence import configurations, run_table, statistics, verdicts
from study.evidence.run_table import Row
from study.evidence.verdicts import Check, Claim
from study.evidence.write_up import ClaimedMetrics, QuotedClaim
from tests.checkout import ROOT
from tests.evidence.hand_made import PUBLISHED, published_with, rows

MARGIN = 0.1
BASE = rows("model-4", [99.00, 99.04, 99.02, 99.08, 99.06])
RELATIONS = ("higher", "lower", "not_higher", "equivalent")
YES, NO, OPEN = "supported", "contradicted", "inconclusive"


def check(relation: str, than: str = "model-4", metric: str = "accuracy") -> Check:
    return Check.model_validate({"metric": metric, "of": "changed", "is": relation, "than": than})


def evaluate(checks: Sequence[Check], runs: Sequence[Row], *quoted: ClaimedMetrics) -> Claim:
    published = published_with(QuotedClaim("it", "It is so.", quoted))
    defaults = {"model-4": "model_4"}
    (claim,) = verdicts.evaluate_claims({"it": checks}, published, runs, MARGIN, defaults)
    return claim


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # Clearly higher, clearly lower.
        ([0.30, 0.34, 0.29, 0.31, 0.35], (YES, NO, NO, NO)),
        ([-0.30, -0.34, -0.29, -0.31, -0.35], (NO, YES, YES, NO)),
        # Equal; and surely a little higher, but within the margin.
        ([0.01, -0.01, 0.02, -0.02, 0.0], (OPEN, OPEN, YES, YES)),
        ([0.04, 0.05, 0.04, 0.05, 0.04], (YES, NO, YES, YES)),
        # Surely higher, and maybe within the margin.
        ([0.06, 0.14, 0.10, 0.12, 0.08], (YES, NO, OPEN, OPEN)),
        # Too different between seeds.
        ([0.3, -0.3, 0.2, -0.2, 0.1], (OPEN,) * 4),
    ],
)
def test_verdicts_by_relation(differences: list[float], expected: tuple[str, ...]) -> None:
    changed = [float(row.metrics["accuracy"]) + d for row, d in zip(BASE, differences, strict=True)]
    runs = [*BASE, *rows("changed", changed)]
    for relation, verdict in zip(RELATIONS, expected, strict=True):
        claim = evaluate([check(relation)], runs)
        (result,) = claim.checks
        assert (claim.verdict, result.verdict) == (verdict, verdict), relation
        assert result.difference == pytest.approx(np.mean(differences), abs=1e-9)
        assert result.seeds == (1, 2, 3, 4, 5)


def test_check_compares_with_the_quoted_number_and_with_the_target() -> None:
    runs = rows("changed", [99.01, 99.02, 99.00, 99.01, 99.02])
    quoted = ClaimedMetrics("model_4", accuracy=99.06)
    for than, baseline in (("write_up", 99.06), ("target", PUBLISHED.target.accuracy)):
        (result,) = evaluate([check("lower", than)], runs, quoted).checks
        assert (result.baseline, result.verdict, result.published) == (baseline, YES, None)


def test_check_of_parameters_is_a_count() -> None:
    runs = [*BASE[:1], *rows("changed", [99.0], [1], parameters=7417)]
    (higher,) = evaluate([check("higher", metric="parameters")], runs).checks
    assert (higher.verdict, higher.difference, higher.interval) == (YES, 1, None)
    assert evaluate([check("lower", metric="parameters")], runs).verdict == NO


@pytest.mark.parametrize(
    "runs",
    [
        [],
        BASE,
        [*BASE, *rows("changed", [99.5], [1])],
        [*BASE, *rows("changed", [99.5, 99.6], [8, 9])],
        [*BASE, *rows("changed", [99.5, 99.6, float("nan")])],
    ],
)
def test_check_with_too_few_or_failed_runs_is_inconclusive(runs: list[Row]) -> None:
    for relation in RELATIONS:
        claim = evaluate([check(relation)], runs)
        assert (claim.verdict, claim.p, claim.p_holm) == (OPEN, 1, 1)
        assert claim.checks[0].interval is None
        json.loads(verdicts.to_json([claim]), parse_constant=pytest.fail)


def test_check_of_identical_seeds_has_the_interval_of_rounding() -> None:
    again = [replace(row, configuration="changed") for row in BASE]
    (result,) = evaluate([check("equivalent")], [*BASE, *again]).checks
    # t(4 degrees, 97.5%) is 2.776: that of 0.01 / √(12 · 5).
    assert (result.verdict, result.interval) == (YES, (-0.0036, 0.0036))


def test_check_shows_published_numbers_of_default_configurations() -> None:
    (result,) = evaluate([check("higher")], [*BASE, *rows("changed", [99.1] * 5)]).checks
    assert result.published == (None, PUBLISHED.models["model_4"].accuracy)


def test_claim_is_as_certain_as_its_least_certain_check() -> None:
    more = rows("changed", [99.30, 99.38, 99.31, 99.36, 99.41])
    both = evaluate([check("higher"), check("higher", metric="train_accuracy")], [*BASE, *more])
    assert [each.verdict for each in both.checks] == [YES, OPEN]
    assert (both.verdict, both.p) == (OPEN, 1)


def test_claim_is_contradicted_by_one_check() -> None:
    more = rows("changed", [99.30, 99.28, 99.31, 99.26, 99.29])
    both = evaluate([check("higher"), check("higher", "target")], [*BASE, *more])
    assert [each.verdict for each in both.checks] == [YES, NO]
    assert both.verdict == NO
    assert both.p == pytest.approx(2 * both.checks[1].p_against, rel=0.01)


def test_claim_is_not_contradicted_by_a_supported_check() -> None:
    """Surely a little lower is still equivalent; the other metric is unknown."""
    less = rows("changed", [98.94, 98.97, 98.96, 99.02, 98.99], train_accuracy=float("nan"))
    both = evaluate(
        [check("equivalent"), check("equivalent", metric="train_accuracy")], [*BASE, *less]
    )
    assert [each.verdict for each in both.checks] == [YES, OPEN]
    assert both.checks[0].interval is not None
    assert both.checks[0].interval[1] < 0
    assert (both.verdict, both.p) == (OPEN, 1)


def test_claims_are_corrected_for_their_number() -> None:
    names = ["first", "second", "third"]
    published = published_with(*(QuotedClaim(name, "", ()) for name in names))
    better = rows("changed", [99.05, 99.12, 99.03, 99.14, 99.16])
    claims = verdicts.evaluate_claims(
        {name: [check("higher")] for name in names}, published, [*BASE, *better], MARGIN, {}
    )
    assert {claim.checks[0].verdict for claim in claims} == {YES}
    assert {claim.verdict for claim in claims} == {OPEN}
    assert claims[0].p_holm == pytest.approx(3 * claims[0].p, rel=0.01)


@pytest.mark.parametrize(
    ("relation", "difference"), [("higher", 0.0), ("equivalent", 0.1), ("not_higher", 0.1)]
)
def test_p_values_false_decisions_are_at_most_5_percent(relation: str, difference: float) -> None:
    """`higher` decided either way without a difference, the others supported at the margin."""
    generator = np.random.Generator(np.random.SFC64(1))
    rounds = 300
    wrong = 0
    for sample in generator.normal(difference, 0.05, (rounds, 5)):
        paired = statistics.paired_difference(dict(enumerate(sample.tolist())), 0.0, 0.01)
        p_for, p_against = verdicts.p_values(check(relation), paired, MARGIN)
        wrong += min(p_for, p_against) < 0.05 if relation == "higher" else p_for < 0.05
    # Of 5% in 300, more than 25 are as rare as 1 in 200.
    assert 0 < wrong <= 25


def test_claims_json_roundtrip() -> None:
    claim = evaluate([check("higher"), check("equivalent")], [*BASE, *rows("changed", [99.1] * 5)])
    assert verdicts.from_json(verdicts.to_json([claim])) == [claim]


TEXT = (ROOT / "claims.yaml").read_text("utf-8")
PLAN = configurations.read((ROOT / "experiments.yaml").read_text("utf-8"))
FIRST = "model-3-not-above-98.51"


def test_claims_yaml_has_checks_of_each_claim_in_order() -> None:
    found = verdicts.read(TEXT, PUBLISHED, PLAN.descriptions)
    assert list(found) == [claim.id for claim in PUBLISHED.claims]


def test_claims_yaml_checks_each_small_configuration_against_the_target() -> None:
    runs = run_table.from_csv((ROOT / "metrics/runs.csv").read_text("utf-8"))
    small = {
        row.configuration
        for row in run_table.on_the_test_set(runs)
        if row.configuration != PLAN.final
        and float(row.metrics["parameters"]) < PUBLISHED.target.parameters
    }
    checks = verdicts.read(TEXT, PUBLISHED, PLAN.descriptions)["target-not-reached"]
    assert small == {each.of for each in checks}


def test_claims_json_is_that_of_the_run_table() -> None:
    runs = run_table.from_csv((ROOT / "metrics/runs.csv").read_text("utf-8"))
    claims = verdicts.evaluate_claims(
        verdicts.read(TEXT, PUBLISHED, PLAN.descriptions),
        PUBLISHED,
        run_table.on_the_test_set(runs),
        MARGIN,
        PLAN.defaults,
    )
    assert verdicts.to_json(claims) == (ROOT / "metrics/claims.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (f"{FIRST}:", "model-3:", ("model-3", FIRST)),
        (f"{FIRST}:", f"{FIRST}: []\nx:", ("x", FIRST)),
        ("is: not_higher", "is: at most", ("is", "higher, lower", "at most")),
        ("of: model-3,", "of: model-9,", ("of", "experiments.yaml", "model-9")),
        ("than: model-1}", "than: model-9}", ("than", "experiments.yaml", "model-9")),
        ("than: model-1}", "than: model-2}", ("than", "model-2")),
        ("than: model-1}", "than: model-1, n: 1}", ("n", "metric, of, is, than")),
        ("than: write_up", "than: target", ("target", "accuracy")),
        ("metric: loss, of", "metric: speed, of", ("metric", "loss", "speed")),
        (
            "is: lower, than: model-1",
            "is: equivalent, than: model-1",
            ("is", "higher or lower", "loss", "equivalent"),
        ),
        ("than: target", "than: write_up", ("than", "quote", "write_up")),
    ],
)
def test_read_names_line_and_mistake(old: str, new: str, parts: tuple[str, ...]) -> None:
    line = TEXT[: TEXT.index(old)].count("\n") + new.count("\n") + 1
    message = complaint(TEXT.replace(old, new, 1))
    assert message.startswith(f"claims.yaml line {line}: ")
    assert all(part in message for part in parts), message


def test_read_names_a_claim_without_checks() -> None:
    rest = "\n".join(TEXT.split("\n\n")[2:])
    for text in (rest, f"{FIRST}: []\n{rest}"):
        assert FIRST in complaint(text)


def complaint(text: str) -> str:
    with pytest.raises(UserError) as error:
        verdicts.read(text, PUBLISHED, PLAN.descriptions)
    assert str(error.value).isprintable()
    return str(error.value)
