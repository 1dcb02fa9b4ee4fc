"""Against published and hand-computed numbers, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from study.evidence import statistics
from study.evidence.statistics import Correct, Mean

# Student 1908: hours of sleep that ten patients gained with each of two drugs; `sleep` in R.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
GAINED = [b - a for a, b in zip(FIRST, SECOND, strict=True)]


def test_mean_and_one_sample_test_match_student_1908() -> None:
    found = statistics.mean(GAINED)
    assert (found.n, found.mean) == pytest.approx((10, 1.58))
    assert found.sd == pytest.approx(1.23, abs=0.0005)
    assert found.interval == pytest.approx((0.7001, 2.4599), abs=5e-5)
    # t is 4.062 with 9 degrees of freedom; p, two-sided, is 0.002833.
    tested = statistics.difference(GAINED, 0.0)
    assert 2 * tested.p_above(0) == pytest.approx(0.002833, abs=5e-7)
    assert tested.p_below(0) == pytest.approx(1 - 0.002833 / 2, abs=5e-7)
    assert tested.p_above(1.58) == pytest.approx(0.5)
    assert tested.interval(0.025) == pytest.approx(found.interval)


def test_difference_matches_welch_test_of_r() -> None:
    """`t.test(extra ~ group, data = sleep)`: t = -1.8608, df = 17.776, p-value = 0.07939."""
    found = statistics.difference(FIRST, SECOND)
    assert found.mean / found.se == pytest.approx(-1.8608, abs=5e-5)
    assert found.df == pytest.approx(17.776, abs=5e-4)
    assert 2 * found.p_below(0) == pytest.approx(0.07939, abs=5e-6)
    assert found.interval(0.025) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert found.interval(0.05) == pytest.approx((-3.0534, -0.1066), abs=5e-5)


def test_difference_takes_every_sample_of_an_array() -> None:
    generator = np.random.Generator(np.random.SFC64(1))
    a, b = generator.normal(99, 0.1, (2, 7, 30))
    found = statistics.difference(a, b)
    expected = ttest_ind(a, b, axis=-1, equal_var=False, alternative="greater")
    assert found.p_above(0) == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(expected.df)


def test_difference_of_values_without_spread_is_exact() -> None:
    # 99.1 has no finite binary fraction: its mean may differ in the last bit.
    found = statistics.difference([99.1] * 3, [99.0] * 3)
    assert found.se == 0
    assert [found.p_above(0), found.p_below(0)] == [0, 1]
    same = statistics.difference([99.1] * 3, [99.1] * 3)
    assert [same.p_above(0), same.p_below(0)] == [1, 1]


def test_prediction_interval_matches_montgomery_and_runger() -> None:
    """Load at failure of 22 specimens: 6.16 to 21.26.

    Montgomery and Runger 2003, "Applied Statistics and Probability for Engineers", example 8-9.
    """
    assert Mean(22, 13.71, 3.55).prediction == pytest.approx((6.16, 21.26), abs=0.005)


def test_mean_of_a_single_run_has_no_intervals() -> None:
    found = statistics.mean([99.1])
    assert (found.n, found.mean, found.interval, found.prediction) == (1, 99.1, None, None)


def test_p_superior_counts_pairs_and_halves_ties() -> None:
    # Of six pairs, 3 wins and 2 ties.
    assert statistics.p_superior([1, 2, 3], [2, 1]) == pytest.approx((3 + 2 / 2) / 6)
    # `wilcox.test(extra ~ group, data = sleep)` of R: W = 25.5.
    assert statistics.p_superior(FIRST, SECOND) == pytest.approx(25.5 / 100)
    assert statistics.p_superior([99.3, 99.4, 99.5, 99.6], 99.4) == pytest.approx(2.5 / 4)


def test_holm_by_hand() -> None:
    # Smallest times 4, next times 3, then times 2; never below the one before.
    found = statistics.holm([0.01, 0.04, 0.03, 0.005])
    assert found.adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # Two are rejected; the procedure stops with two left.
    assert found.left.tolist() == [3, 2, 2, 4]
    assert statistics.holm([0.6, 0.9]).adjusted.tolist() == [1, 1]
    assert statistics.holm([0.02]).adjusted.tolist() == [0.02]
    assert statistics.holm([]).adjusted.tolist() == []


def test_holm_corrects_each_family_of_an_array() -> None:
    ps = np.random.Generator(np.random.SFC64(1)).uniform(0, 0.05, (5, 4))
    together = statistics.holm(ps)
    for row, adjusted, left in zip(ps, together.adjusted, together.left, strict=True):
        alone = statistics.holm(row)
        assert (adjusted.tolist(), left.tolist()) == (alone.adjusted.tolist(), alone.left.tolist())


def pair(both: int, only_a: int, only_b: int, neither: int) -> tuple[Correct, Correct]:
    counts = (both, only_a, only_b, neither)
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


def test_compare_gives_mcnemar_p_by_hand() -> None:
    """12 against 2: at most two heads or at most two tails in 14 throws."""
    compared = statistics.compare(*pair(20, 12, 2, 16))
    assert (compared.only_a_correct, compared.only_b_correct) == (12, 2)
    assert compared.p == pytest.approx(2 * sum(math.comb(14, k) for k in range(3)) / 2**14)
    assert statistics.compare(*pair(90, 0, 0, 10)).p == 1


def test_compare_matches_fagerland_2017() -> None:
    """Complete response of 161 patients, before and after a second therapy: Cavo et al. 2012.

    Fagerland, Lydersen and Laake 2017, "Statistical Analysis of Contingency Tables", chapter 8;
    numbers as in its R package, contingencytables.
    """
    assert statistics.compare(*pair(59, 6, 16, 80)).p == pytest.approx(0.052479, abs=6e-7)
