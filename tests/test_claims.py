import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from study.base.errors import UserError
from study.evidence import aggregates, configurations, run_table, target, verdicts, write_up
from study.evidence.run_table import Row
from study.evidence.verdicts import Claim, Statement
from study.evidence.write_up import Conclusion, Documents, Figure
from tests.checkout import ROOT
from tests.recipes import recipe

PUBLISHED = write_up.read(ROOT / "reference/write_up.yaml", ROOT / "reference/epochs.csv")
RECIPE = recipe(epochs=2)
FIVE = (1, 2, 3, 4, 5)


def runs(
    experiment: str, accuracies: Sequence[float], numbers: Sequence[int] = FIVE, **others: float
) -> list[Row]:
    """One run for each seed, with these accuracies."""
    metrics = {
        "accuracy": 0.0,
        "best_accuracy": 0.0,
        "loss": 0.03,
        "train_accuracy": 98.0,
        "last_epochs_std": 0.05,
        "parameters": 7416,
    }
    return [
        Row(
            experiment,
            "model_4",
            RECIPE.model_copy(update={"seed": seed}),
            "5f3a",
            run_table.format_metrics(metrics | {"accuracy": a, "best_accuracy": a + 0.03} | others),
            (a + 0.03, a),
        )
        for seed, a in zip(numbers, accuracies, strict=False)
    ]


def known(*conclusions: Conclusion) -> Documents:
    return replace(PUBLISHED, conclusions=conclusions)


def says(relation: str, against: str = "model-4", figure: str = "accuracy") -> Statement:
    return Statement.model_validate(
        {"figure": figure, "of": "changed", "is": relation, "against": against}
    )


def judge(tests: Sequence[Statement], rows: Sequence[Row], *figures: Figure) -> Claim:
    conclusion = Conclusion("it", "It is so.", figures)
    (claim,) = verdicts.judge({"it": tests}, known(conclusion), rows, margin=0.1)
    return claim


BASE = runs("model-4", [99.00, 99.04, 99.02, 99.08, 99.06])


@pytest.mark.parametrize(
    ("differences", "verdicts"),
    [
        # Clearly more, clearly less.
        ([0.30, 0.34, 0.29, 0.31, 0.35], ("holds", "does not hold", "does not hold", False)),
        ([-0.30, -0.34, -0.29, -0.31, -0.35], ("does not hold", "holds", "holds", False)),
        # Surely the same; and surely a little more, which is the same, too.
        ([0.01, -0.01, 0.02, -0.02, 0.0], ("cannot be told", "cannot be told", "holds", True)),
        ([0.04, 0.05, 0.04, 0.05, 0.04], ("holds", "does not hold", "holds", True)),
        # Surely more, maybe no more than counts as the same.
        ([0.06, 0.14, 0.10, 0.12, 0.08], ("holds", "does not hold", "cannot be told", None)),
        # Too different from seed to seed to tell anything.
        ([0.3, -0.3, 0.2, -0.2, 0.1], ("cannot be told",) * 3 + (None,)),
    ],
)
def test_what_differences_say(differences: list[float], verdicts: tuple[Any, ...]) -> None:
    changed = [float(row.metrics["accuracy"]) + d for row, d in zip(BASE, differences, strict=True)]
    rows = [*BASE, *runs("changed", changed)]
    above, below, not_above, same = verdicts
    same = {True: "holds", False: "does not hold", None: "cannot be told"}[same]
    for relation, verdict in zip(
        ("above", "below", "not above", "same"), (above, below, not_above, same), strict=True
    ):
        claim = judge([says(relation)], rows)
        (result,) = claim.tests
        assert (claim.verdict, result.verdict) == (verdict, verdict), relation
        assert result.difference == pytest.approx(np.mean(differences), abs=1e-9)
        assert result.seeds == FIVE


def test_runs_are_paired_by_seed() -> None:
    """Every seed gains as much, however far seeds are apart; the order of the rows is no matter."""
    base = runs("model-4", [98.0, 99.0, 98.5, 97.5, 99.5])
    changed = runs("changed", [98.11, 99.10, 98.60, 97.61, 99.60])
    (result,) = judge([says("above")], [*changed[::-1], *base]).tests
    assert result.verdict == "holds"
    assert result.interval is not None
    assert result.interval[1] - result.interval[0] < 0.02
    one_missing = judge([says("above")], [*changed[1:], *base[:-1]]).tests[0]
    assert one_missing.seeds == (2, 3, 4)


def test_a_number_of_the_documents() -> None:
    rows = runs("changed", [99.01, 99.02, 99.00, 99.01, 99.02])
    told = judge([says("not above", "documents")], rows, Figure("model_4", accuracy=99.06))
    assert told.verdict == "holds"
    assert told.tests[0].baseline == 99.06
    target = judge([says("below", "target")], rows)
    assert target.tests[0].baseline == PUBLISHED.target.accuracy
    assert target.verdict == "holds"


def test_parameters_are_a_matter_of_counting() -> None:
    rows = [*BASE[:1], *runs("changed", [99.0], [1], parameters=7417)]
    (above,) = judge([says("above", figure="parameters")], rows).tests
    assert (above.verdict, above.difference, above.interval) == ("holds", 1, None)
    assert judge([says("below", figure="parameters")], rows).verdict == "does not hold"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        BASE,
        [*BASE, *runs("changed", [99.5], [1])],
        [*BASE, *runs("changed", [99.5, 99.6], [8, 9])],
        [*BASE, *runs("changed", [99.5, 99.6, float("nan")])],
    ],
)
def test_too_little_to_tell(rows: list[Row]) -> None:
    for relation in ("above", "below", "not above", "same"):
        claim = judge([says(relation)], rows)
        assert (claim.verdict, claim.p, claim.p_holm) == ("cannot be told", 1, 1)
        assert claim.tests[0].interval is None
    json.loads(verdicts.to_json([claim]), parse_constant=pytest.fail)


def test_seeds_that_all_say_the_same() -> None:
    again = [replace(row, experiment="changed") for row in BASE]
    (result,) = judge([says("same")], [*BASE, *again]).tests
    # t(4 degrees, 97.5 %) is 2.776: that of 0.01 / √(12 · 5).
    assert (result.verdict, result.interval) == ("holds", (-0.0036, 0.0036))
    assert judge([says("above")], [*BASE, *again]).verdict == "cannot be told"
    assert judge([says("not above")], [*BASE, *again]).verdict == "holds"


def test_a_conclusion_is_as_sure_as_its_least_sure_test() -> None:
    more = runs("changed", [99.30, 99.38, 99.31, 99.36, 99.41])
    sure, unsure = says("above"), says("above", figure="train_accuracy")
    both = judge([sure, unsure], [*BASE, *more])
    assert [each.verdict for each in both.tests] == ["holds", "cannot be told"]
    assert (both.verdict, both.p) == ("cannot be told", 1)


def test_one_test_that_fails_is_enough() -> None:
    more = runs("changed", [99.30, 99.28, 99.31, 99.26, 99.29])
    both = judge([says("above"), says("above", "target")], [*BASE, *more])
    assert [each.verdict for each in both.tests] == ["holds", "does not hold"]
    assert both.verdict == "does not hold"
    assert both.p == pytest.approx(2 * both.tests[1].p_against, rel=0.01)


def test_a_test_that_holds_says_nothing_against_a_conclusion() -> None:
    """Surely a little less is the same; and of the other figure nothing is known."""
    less = runs("changed", [98.94, 98.97, 98.96, 99.02, 98.99], train_accuracy=float("nan"))
    both = judge([says("same"), says("same", figure="train_accuracy")], [*BASE, *less])
    assert [each.verdict for each in both.tests] == ["holds", "cannot be told"]
    assert both.tests[0].interval is not None
    assert both.tests[0].interval[1] < 0
    assert (both.verdict, both.p) == ("cannot be told", 1)


def test_conclusions_are_corrected_for_each_other() -> None:
    names = ["first", "second", "third"]
    documents = known(*(Conclusion(name, "", ()) for name in names))
    better = runs("changed", [99.05, 99.12, 99.03, 99.14, 99.16])
    judged = verdicts.judge(
        {name: [says("above")] for name in names}, documents, [*BASE, *better], margin=0.1
    )
    assert {claim.tests[0].verdict for claim in judged} == {"holds"}
    assert {claim.verdict for claim in judged} == {"cannot be told"}
    assert judged[0].p_holm == pytest.approx(3 * judged[0].p, rel=0.01)


def test_what_the_documents_logged_stands_beside_it() -> None:
    rows = [*runs("model-4", [99.0] * 5), *runs("changed", [99.1] * 5)]
    (result,) = judge([says("above")], rows).tests
    assert result.documents == (None, PUBLISHED.models["model_4"].accuracy)


def test_wrong_decisions_are_rare() -> None:
    """At most 5 % when there is nothing to find, whatever is said of it."""
    generator = np.random.Generator(np.random.SFC64(1))
    rounds = 600
    wrong = dict.fromkeys(("above", "same", "not above"), 0)
    for _ in range(rounds):
        base = generator.normal(99, 0.05, 5)
        level, apart = base + generator.normal(0, 0.05, 5), base + generator.normal(0.1, 0.05, 5)
        wrong["above"] += decided("above", base, level)
        wrong["same"] += decided("same", base, apart)
        wrong["not above"] += decided("not above", base, apart)
    # Of 5 % in 600, more than 44 are as rare as 1 in 200.
    assert wrong["above"] <= 44
    assert wrong["same"] <= 44
    assert wrong["not above"] <= 44
    assert min(wrong.values()) > 0


def decided(relation: str, base: NDArray[np.float64], changed: NDArray[np.float64]) -> bool:
    """Whether something is decided that is not so: `above` both ways, the others as `holds`."""
    differences = [float(c - b) for b, c in zip(base, changed, strict=True)]
    p_for, p_against = verdicts.weigh(says(relation), differences, 0.1)
    return min(p_for, p_against) < 0.05 if relation == "above" else p_for < 0.05


def test_they_come_back_from_json() -> None:
    claim = judge([says("above"), says("same")], [*BASE, *runs("changed", [99.1] * 5)])
    assert verdicts.from_json(verdicts.to_json([claim])) == [claim]


# claims.yaml

TEXT = (ROOT / "claims.yaml").read_text("utf-8")
KNOWN = configurations.descriptions((ROOT / "experiments.yaml").read_text("utf-8"))


def test_the_repository_s_own() -> None:
    found = verdicts.read(TEXT, PUBLISHED, KNOWN)
    assert list(found) == [conclusion.id for conclusion in PUBLISHED.conclusions]
    used = {each for tests in found.values() for t in tests for each in (t.of, t.against)}
    assert used <= {*KNOWN, "documents", "target"}


def test_every_configuration_below_the_target_is_held_against_it() -> None:
    rows = run_table.from_csv((ROOT / "metrics/runs.csv").read_text("utf-8"))
    small = {
        row.configuration
        for row in run_table.on_the_test_set(rows)
        if row.model != target.MODEL
        and float(row.metrics["parameters"]) < PUBLISHED.target.parameters
    }
    tests = verdicts.read(TEXT, PUBLISHED, KNOWN)["target-not-reached"]
    assert small == {each.of for each in tests}


@pytest.mark.parametrize(
    ("part", "instead", "message"),
    [
        ("model-3-not-above-98.51:", "model-3:", "model-3: give one of model-3-not-above-98.51"),
        ("is: not above", "is: at most", "model-3-not-above-98.51.0.is: Input should be"),
        ("of: model-3,", "of: model-9,", "model-3-not-above-98.51.0: of = model-9: give an id"),
        ("against: model-1}", "against: model-9}", "against = model-9: give another id"),
        ("against: model-1}", "against: model-2}", "against = model-2: give another id"),
        ("against: model-1}", "against: model-1, n: 1}", "n: Extra inputs are not permitted"),
        ("against: documents", "against: target", "against = target: it is an accuracy"),
        ("figure: loss, of", "figure: speed, of", "figure = speed: give one of accuracy, "),
        ("is: below, against: model-1", "is: same, against: model-1", "is = same: give above or"),
        ("against: target", "against: documents", "they do not give one accuracy with this"),
        ("dropout-10-steadier:\n", "dropout-10-steadier: []\nx:\n", "x: give one of"),
        (TEXT, "", "all of it: Input should be a valid dictionary, found None; mend it or"),
        (TEXT, "a: [", "line 1: not YAML"),
    ],
)
def test_a_mistake_is_named(part: str, instead: str, message: str) -> None:
    assert part in TEXT
    with pytest.raises(UserError) as error:
        verdicts.read(TEXT.replace(part, instead, 1), PUBLISHED, KNOWN)
    line = str(error.value)
    assert line.startswith("claims.yaml")
    assert message in line
    assert "\n" not in line


def test_a_conclusion_without_a_test() -> None:
    rest = "\n".join(TEXT.split("\n\n")[2:])
    with pytest.raises(UserError, match=r"model-3-not-above-98.51: no test of this conclusion"):
        verdicts.read(rest, PUBLISHED, KNOWN)


# study/seeds.py


def test_configurations() -> None:
    accuracies = [99.00, 99.04, 99.02, 99.08, 99.06]
    rows = [*runs("changed", accuracies, parameters=9000), *runs("model-4", [99.0], [3])]
    single, several = aggregates.configurations(rows, PUBLISHED)
    assert (single.experiment, single.n, single.accuracy) == ("model-4", 1, 99.0)
    assert (single.low, single.high, single.deviation, single.gain_low) == (None,) * 4
    assert single.documents == PUBLISHED.models["model_4"].accuracy
    assert several.documents is None
    # The standard deviation of 0, 2, 4, 6 and 8 is √10; t(4 degrees, 97.5 %) is 2.776.
    assert several.deviation == pytest.approx(0.01 * 10**0.5, abs=1e-4)
    assert several.low == pytest.approx(99.04 - 2.776 * 0.0316 / 5**0.5, abs=1e-4)
    assert several.gain == pytest.approx(0.03)


def test_bands() -> None:
    rows = [*runs("changed", [99.5]), *runs("model-4", [99.0, 99.2, 99.1], (3, 1, 2))]
    ((name, (first, last)),) = aggregates.bands(rows, PUBLISHED).items()
    assert name == "model-4"
    assert (first.lowest, first.mean, first.highest) == pytest.approx((99.03, 99.13, 99.23))
    assert (last.epoch, last.n, last.documents) == (
        1,
        3,
        PUBLISHED.models["model_4"].epochs[1].test_accuracy,
    )


def test_data_of_the_figures_as_csv() -> None:
    rows = aggregates.configurations(runs("model-4", [99.0], [3]), PUBLISHED)
    assert aggregates.to_csv(aggregates.Configuration, rows).splitlines() == [
        "experiment,parameters,n,accuracy,low,high,deviation,loss,best_accuracy,gain,gain_low,"
        "gain_high,last_epochs_std,documents",
        "model-4,7416,1,99.0,,,,0.03,99.03,0.03,,,0.05,99.02",
    ]
