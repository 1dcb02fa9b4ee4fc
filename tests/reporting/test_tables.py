from dataclasses import replace

import numpy as np
import pytest

import models
from study.evaluation.metrics import Metrics
from study.evidence.claims_file import Relation
from study.evidence.verdicts import CheckResult
from study.networks import model_summary, receptive_field
from study.reporting import tables
from tests.evidence.hand_made import PUBLISHED
from tests.reporting.report_inputs import (
    EVIDENCE,
    IMAGE,
    METRICS,
    NAMES,
    check,
    claim,
    count_check,
    stats,
    study_of,
)


def test_standard_errors_are_larger_for_fewer_images() -> None:
    one = study_of({"model_1": replace(METRICS["model_1"], accuracy=99.0)})
    # √(99 · 1 / n)
    assert tables.standard_errors(one, 400) == pytest.approx((0.4975, 0.4975), abs=1e-4)
    assert tables.standard_errors(one, 10_000) == pytest.approx((0.0995, 0.0995), abs=1e-4)


def test_standard_errors_without_an_accuracy_are_missing() -> None:
    assert tables.standard_errors(study_of({"model_1": Metrics()}), 1) is None


def test_target_is_reached_below_its_parameters_and_above_its_accuracy() -> None:
    assert tables.reaching_target(study_of(METRICS), PUBLISHED) == ["Resnet tiny"]
    almost = {"model_6": Metrics(accuracy=99.41, parameters=8000), "model_3": Metrics()}
    assert tables.reaching_target(study_of(almost), PUBLISHED) == []


def test_missed_are_the_images_that_no_model_gets_right() -> None:
    labels = np.array([7, 2, 1, 0])
    predictions = {"model_1": np.array([7, 3, 4, 5]), "model_3": np.array([1, 3, 1, 6])}
    correct = {name: each == labels for name, each in predictions.items()}
    assert replace(study_of(METRICS), correct=correct).missed == [1, 3]


def test_distinguished_rows_have_an_interval_without_zero() -> None:
    assert tables.distinguished(EVIDENCE, "accuracy") == [r"“wider \| deeper”"]
    assert tables.distinguished(EVIDENCE, "loss") == []


def test_difference_of_means_has_one_more_decimal_and_of_counts_none() -> None:
    assert tables.difference_text(check(), 0.1) == "+0.220 (+0.030 to +0.410)"
    assert tables.difference_text(count_check(), 0.1) == "+176"


@pytest.mark.parametrize(
    ("relation", "interval", "text"),
    [
        ("higher", (-0.0003, 0.12), "−0.0003 to +0.1200"),
        ("higher", (0.0003, 0.1), "+0.0003 to +0.1000"),
        ("lower", (-0.12, -0.0004), "−0.1200 to −0.0004"),
        ("equivalent", (-0.0003, 0.12), "−0.0003 to +0.1200"),
        ("equivalent", (0.01, 0.1003), "+0.0100 to +0.1003"),
        ("equivalent", (-0.0998, 0.01), "−0.0998 to +0.0100"),
        ("not_higher", (-0.02, 0.12), "−0.020 to +0.120"),
        ("not_higher", (0.01, 0.0997), "+0.0100 to +0.0997"),
    ],
)
def test_interval_shows_on_which_side_of_a_limit_it_ends(
    relation: Relation, interval: tuple[float, float], text: str
) -> None:
    result = replace(check(relation, verdict="inconclusive"), interval=interval)
    assert tables.difference_text(result, 0.1).endswith(f"({text})")
    assert text in tables.open_checks(claim("it", "inconclusive", result), NAMES, 0.1)[0]


@pytest.mark.parametrize(
    ("interval", "side"),
    [((0.05, 0.26), "above 0"), ((-0.31, -0.06), "below 0"), ((-0.02, 0.16), None)],
)
def test_open_check_at_the_margin_says_if_there_is_a_difference(
    interval: tuple[float, float], side: str | None
) -> None:
    result = replace(check("equivalent", verdict="inconclusive"), interval=interval)
    (text,) = tables.open_checks(claim("it", "inconclusive", result), NAMES, 0.1)
    assert [each for each in ("above 0", "below 0") if each in text] == ([side] if side else [])


def test_open_checks_are_those_that_keep_a_claim_inconclusive() -> None:
    relations: tuple[Relation, ...] = ("higher", "equivalent", "not_higher")
    open_ones = [check(relation, verdict="inconclusive") for relation in relations]
    texts = tables.open_checks(claim("it", "inconclusive", check(), *open_ones), NAMES, 0.1)
    assert all(part in texts[0] for part in ("+0.030", "+0.410", "points", "5 seeds"))
    # The margin is two-sided for one relation, and one-sided for another.
    assert [("±0.1" in text, "+0.1 " in text) for text in texts] == [
        (False, False),
        (True, False),
        (False, True),
    ]
    for decided in (check(), check(verdict="contradicted")):
        of_decided = claim("it", decided.verdict, decided, *open_ones)
        assert tables.open_checks(of_decided, NAMES, 0.1) == []


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (replace(check(), p=0.0104, factor=5, p_adjusted=0.052), "0.0104 × 5 = 0.0520"),
        (replace(check(), p=0.00041, factor=9, p_adjusted=0.0037), "0.000410 × 9 = 0.00370"),
        (replace(check(), p=0.000031, factor=36, p_adjusted=0.0011), "0.0000310 × 36 = 0.00110"),
        (replace(check(), p=0.43, factor=5, p_adjusted=1.0), "0.430 × 5 > 1"),
        (replace(check(), p=1e-9, factor=12, p_adjusted=1.2e-8), "< 0.001"),
        (count_check(), "count"),
        (check(ran=False), "–"),
    ],
)
def test_p_value_is_shown_with_its_correction(result: CheckResult, text: str) -> None:
    assert tables.p_corrected(result) == text


def test_recipe_and_architecture_are_compared() -> None:
    rows = [
        ("Model 2", stats("model-2", 99.2, 14_796), stats("model-2-recipe-6", 99.55, 14_796)),
        ("Model 6", stats("model-6-recipe-4", 99.25), stats("model-6", 99.5, 7_954)),
    ]
    text = tables.recipe_and_architecture(rows)
    assert "+0.25 to +0.35 points" in text
    assert text.endswith("Model 2 (14,796 parameters) by +0.050 and −0.050 points.")
    assert "+0.25 to +0.25 points" in tables.recipe_and_architecture(rows[1:])


def test_configurations_on_target_are_small_and_accurate() -> None:
    found = [
        stats("model-4", 99.41, 7_416),
        stats("model-5", 99.4, 7_416),
        stats("model-2", 99.5, 8_000),
    ]
    evidence = replace(EVIDENCE, configurations=found)
    assert tables.on_target(evidence, PUBLISHED.target) == ["Model 4"]


def test_curves_have_each_epoch_of_each_model_in_order() -> None:
    points = tables.curve_points(study_of(METRICS).histories)
    assert [(each.model, each.epoch) for each in points] == [
        (model, epoch) for model in METRICS for epoch in range(2)
    ]
    assert points[1].test_accuracy == 98.9


def test_pairs_are_tested_on_the_same_images_and_corrected() -> None:
    metrics = {
        "model_1": Metrics(loss=0.04, parameters=14620),
        "model_2": Metrics(loss=0.03, parameters=14796),
        "model_4": Metrics(loss=0.0305, parameters=7416),
        "model_6": METRICS["resnet_tiny"],
    }
    # 200 images: Model 2 is right about two more than Model 1, Model 4 about two others.
    images = np.arange(200)
    correct = {
        "model_1": images < 194,
        "model_2": images < 196,
        "model_4": (images < 194) | (images >= 198),
        "model_6": images < 200,
    }
    first, second = tables.pair_rows(replace(study_of(metrics), correct=correct), PUBLISHED)
    assert (first.a, first.b, second.a, second.b) == ("model_1", "model_2", "model_2", "model_4")
    assert first.accuracies == pytest.approx((97, 98))
    assert (first.result.only_a_correct, first.result.only_b_correct) == (0, 2)
    # p of 2 against 0 is that of two tosses alike, 1/2, and twice that after correction.
    assert (first.result.p, first.p_holm) == pytest.approx((0.5, 1))
    assert (second.result.p, second.p_holm) == pytest.approx((1, 1))


def test_pairs_need_both_models() -> None:
    assert tables.pair_rows(study_of(METRICS), PUBLISHED) == []


def test_receptive_fields_show_both_values_where_the_write_up_differs() -> None:
    computed = receptive_field.table(models.build("model_1", 0.1), IMAGE)
    reference = PUBLISHED.models["model_1"].receptive_field
    assert reference is not None
    table = tables.field_table(["model_1"], computed, reference)
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["Conv3 (3x3)"] == ["7x7", "24", "22", "1", "1", "2", "3"]
    assert cells["MaxPool"] == ["**8x8** ~~14x14~~", "22", "11", "1", "2", "3", "**3.5** ~~6~~"]
    assert cells["Conv8 (7x7)"][0] == "28x28"
    differing = receptive_field.differing(computed, reference)
    assert str(table.rows).count("~~") / 2 == sum(map(len, differing))
    assert table.differs


def test_receptive_fields_of_more_layers_than_published_end_in_dashes() -> None:
    computed = receptive_field.table(models.build("model_1", 0.1), IMAGE)
    table = tables.field_table(["model_1"], computed, computed[:-1])
    assert table.rows[-1][:2] == ["**Conv8 (7x7)** ~~–~~", "**28x28** ~~–~~"]
    assert not tables.field_table(["model_1"], computed, computed).differs


def test_receptive_fields_are_shared_by_models_with_the_same_table() -> None:
    names = ["model_1", "model_2", "model_3", "model_4", "model_5"]
    found = tables.field_tables(study_of({name: Metrics() for name in names}), PUBLISHED)
    assert [each.models for each in found] == [
        ["model_1", "model_2"],
        ["model_3", "model_4"],
        ["model_5"],
    ]


def test_summaries_are_compared_with_the_write_up() -> None:
    text = model_summary.table(models.build("model_1", 0.1), IMAGE)
    summaries = {"model_1": text, "model_6": "its table"}
    study = replace(study_of(METRICS), summaries=summaries)
    same, unpublished = tables.summaries(study, PUBLISHED)
    assert (same.is_published, same.differs) == (True, False)
    assert (unpublished.is_published, unpublished.lines) == (False, ["its table"])
    changed = replace(study, summaries={"model_1": text.replace("14,620", "14,621")})
    assert tables.summaries(changed, PUBLISHED)[0].differs
