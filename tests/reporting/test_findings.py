"""The first sentences of the report, for values that a later study may have."""

from dataclasses import replace

import pytest

from study.evidence.claims_file import Relation
from study.evidence.verdicts import Verdict, Verdicts
from study.reporting import findings
from tests.evidence.hand_made import PUBLISHED
from tests.reporting.report_inputs import (
    EVIDENCE,
    NAMES,
    NO_RUNS,
    VERDICTS,
    check,
    claim,
    number,
    stats,
)


def test_findings_while_runs_are_missing_are_their_number_alone() -> None:
    (only,) = findings.findings(NO_RUNS.verdicts, [], None, PUBLISHED, NAMES)
    assert "7 of 10 runs are missing" in only
    assert "`make experiments`" in only


def test_findings_of_a_study_without_claims_are_none() -> None:
    assert findings.findings(Verdicts(0, {}, (), ()), [], None, PUBLISHED, NAMES) == []


def test_findings_begin_with_reproduction_conclusions_and_target() -> None:
    numbers, claims, target, lesson = findings.findings(
        VERDICTS, EVIDENCE.configurations, EVIDENCE.final, PUBLISHED, NAMES
    )
    assert "reproduce.**" in numbers
    assert "2 claims" in claims
    assert "reaches the write-up's target" in target
    assert "%" in lesson


def test_reproduction_counts_accuracies_and_losses() -> None:
    text = findings.reproduction(
        [number("accuracy", "model-1"), number("best_accuracy", "model-2")], NAMES
    )
    assert text is not None
    assert all(part in text for part in ("All 2", "2 accuracies", "2 single runs"))
    both = findings.reproduction([number("accuracy", "model-1"), number("loss", "model-1")], NAMES)
    assert both is not None
    assert all(part in both for part in ("1 accuracy", "1 loss", "one run"))
    assert findings.reproduction([], NAMES) is None


def test_reproduction_names_the_numbers_outside() -> None:
    numbers = [number("accuracy", "model-1"), number("accuracy", "model-2", reproduced=False)]
    text = findings.reproduction(numbers, NAMES)
    assert text is not None
    for part in ("2 numbers", "**1 reproduce**", "accuracy of Model 2", "98.900 to 99.200"):
        assert part in text
    assert "Model 1" not in text


def test_conclusions_are_counted_and_all_but_the_supported_ones_named() -> None:
    claims = [claim("first", "supported"), claim("second", "inconclusive")]
    text = findings.conclusions("our", [*claims, claim("third", "supported")], NAMES)
    assert text is not None
    for part in ("2 are supported", "0 contradicted", "1 inconclusive", "“Title of second”"):
        assert part in text
    assert "first" not in text


def test_checks_that_decide_a_claim_are_named_if_others_do_not() -> None:
    helps, same = check(), check("equivalent", verdict="contradicted")
    for checks, named in (((helps, same), ["≈"]), ((same,), []), ((same, same), [])):
        text = findings.conclusions("our", [claim("it", "contradicted", *checks)], NAMES)
        assert text is not None
        assert [sign for sign in (">", "≈") if sign in text] == named


@pytest.mark.parametrize(
    ("relation", "than", "text"),
    [
        ("higher", "model-1", "Accuracy: Model 2 > Model 1"),
        ("not_higher", "model-4-a", "Accuracy: Model 2 ≤ Model 4 | a"),
        ("equivalent", "target", "Accuracy: Model 2 ≈ target"),
    ],
)
def test_check_text_names_both_sides(relation: Relation, than: str, text: str) -> None:
    assert findings.check_text(check(relation, than), NAMES) == text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("supported", "Model 6 reaches the"),
        ("contradicted", "Model 6 misses the"),
        ("inconclusive", "Model 6 is not shown to reach the"),
    ],
)
def test_answers_begin_with_the_verdict_on_the_target(verdict: Verdict, words: str) -> None:
    questions = [
        claim("reaches-target", verdict, check("higher", "target", verdict)),
        claim("recipe-helps", "supported", check()),
    ]
    ours = stats("model-6", 99.57, 7954)
    text = findings.answers(questions, ours, PUBLISHED, NAMES)
    assert text is not None
    for part in (words, "99.4%", "8,000", "7,954", "99.57 ± 0.05", "5 seeds"):
        assert part in text
    assert "Supported: “Title of recipe-helps”." in text
    assert "reaches-target" not in text
    assert findings.answers([], ours, PUBLISHED, NAMES) is None


def test_answers_without_a_configuration_for_the_target_are_counted() -> None:
    ours = stats("model-6", 99.57, 7954)
    about = claim("reaches-target", "supported", check("higher", "target", "supported"))
    other = claim("recipe-helps", "contradicted", check())
    for questions, final in (([about, other], None), ([other], ours)):
        text = findings.answers(questions, final, PUBLISHED, NAMES)
        assert text is not None
        assert f"{len(questions)} claim" in text
        assert "Title of recipe-helps" in text


def test_lesson_is_about_models_of_the_write_up() -> None:
    one, two = stats("model-1", 99.0, n=2), stats("model-2", 99.1, n=2)
    one = replace(one, accuracies=(98.9, 99.1), best_accuracy=99.2)
    two = replace(two, accuracies=(99.0, 99.2), best_accuracy=99.2)
    text = findings.lesson([one, two, stats("model-6", 99.57)], PUBLISHED)
    assert text is not None
    assert text.count("25%") == 2  # the mean of all pairs, and the largest
    # The gain is 0.2 of two runs, 0.1 of two and 0.03 of five.
    assert "0.08 points" in text
    assert findings.lesson([one], PUBLISHED) is None
