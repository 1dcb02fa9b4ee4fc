"""Against published and hand-computed numbers, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from study.evidence import statistics
from study.evidence.statistics import Right


def right(count: int, images: int) -> Right:
    return np.arange(images) < count


def pair(both: int, only_first: int, only_second: int, neither: int) -> tuple[Right, Right]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


# Newcombe 1998, "Two-sided confidence intervals for the single proportion: comparison of seven
# methods", Statistics in Medicine 17:857, table I, method 3.
@pytest.mark.parametrize(
    ("count", "images", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(count: int, images: int, low: float, high: float) -> None:
    interval = statistics.accuracy_interval(right(count, images))
    assert interval == pytest.approx((100 * low, 100 * high), abs=0.006)


def test_mcnemar_by_hand() -> None:
    """2 against 12: as likely as two heads or fewer, or two tails or fewer, in 14 throws."""
    compared = statistics.compare(*pair(20, 12, 2, 16))
    assert (compared.only_a_correct, compared.only_b_correct) == (12, 2)
    assert compared.difference == pytest.approx(-20)
    assert compared.p == pytest.approx(2 * sum(math.comb(14, k) for k in range(3)) / 2**14)


def test_published_pairs() -> None:
    """Complete response of 161 patients, before and after a second therapy: Cavo et al. 2012.

    Fagerland, Lydersen and Laake 2017, "Statistical Analysis of Contingency Tables", chapter 8;
    numbers as in its R package, contingencytables (there, the first less the second).
    """
    compared = statistics.compare(*pair(59, 6, 16, 80))
    assert compared.difference == pytest.approx(6.21, abs=0.006)
    assert compared.interval == pytest.approx((0.46, 11.86), abs=0.006)
    assert compared.p == pytest.approx(0.052479, abs=6e-7)


def test_the_same_answers_are_no_difference() -> None:
    compared = statistics.compare(*pair(90, 0, 0, 10))
    assert (compared.difference, compared.p) == (0, 1)
    low, high = compared.interval
    assert low <= 0 <= high


def test_one_image() -> None:
    compared = statistics.compare(*pair(0, 0, 1, 0))
    assert (compared.difference, compared.p) == (100, 1)
    assert compared.interval[0] < 0
    assert compared.interval[1] == pytest.approx(100)


def test_without_correlation_the_interval_is_that_of_two_samples() -> None:
    """9 of 10 less 3 of 10: 0.1705 to 0.8090.

    Newcombe 1998, "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17:873, table II, method 10.
    """
    low, high = statistics.difference_interval(*pair(3, 0, 6, 1))
    assert (low, high) == pytest.approx((17.05, 80.90), abs=0.006)


def test_answers_that_go_together_narrow_the_interval() -> None:
    def width(first: Right, second: Right) -> float:
        low, high = statistics.difference_interval(first, second)
        return high - low

    # 9,800 and 9,850 of 10,000 right: with as few, as many as chance has it, and as many as can be
    # that one alone is right about.
    together, chance, apart = (
        pair(9790, 10, 60, 140),
        pair(9653, 147, 197, 3),
        pair(9650, 150, 200, 0),
    )
    assert width(*together) < width(*chance) <= width(*apart)


def test_many_images() -> None:
    """The product of the margins has more digits than a machine's integers hold."""
    low, high = statistics.difference_interval(*pair(40_000, 20_000, 25_000, 35_000))
    difference = 100 * 5_000 / 120_000
    # So many that the interval is that of a normal distribution.
    deviation = 100 * math.sqrt(45_000 - 5_000**2 / 120_000) / 120_000
    assert (low, high) == pytest.approx(
        (difference - 1.96 * deviation, difference + 1.96 * deviation), abs=0.001
    )


def test_the_order_turns_the_sign() -> None:
    first, second = pair(9700, 80, 120, 100)
    low, high = statistics.difference_interval(first, second)
    assert statistics.difference_interval(second, first) == pytest.approx((-high, -low))


def test_the_interval_covers_the_difference_as_often_as_it_says() -> None:
    draw = np.random.Generator(np.random.SFC64(1))
    shares = (0.975, 0.006, 0.010, 0.009)  # about what networks here share of their errors
    difference = 100 * (shares[2] - shares[1])
    trials = 2000
    covered = 0
    for counts in draw.multinomial(10_000, shares, size=trials):
        low, high = statistics.difference_interval(*pair(*counts))
        covered += low <= difference <= high
    low, high = binom.ppf((0.0005, 0.9995), trials, 0.95)
    assert low <= covered <= high


def test_where_there_is_no_difference_few_are_found() -> None:
    draw = np.random.Generator(np.random.SFC64(2))
    counts = draw.multinomial(10_000, (0.98, 0.005, 0.005, 0.01), size=1000)
    found = sum(statistics.compare(*pair(*each)).p < 0.05 for each in counts)
    # The exact test is conservative.
    assert 10 <= found <= binom.ppf(0.9995, 1000, 0.05)


def test_holm_by_hand() -> None:
    # Smallest times 4, next times 3, then times 2; never below the one before.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.9]) == [1, 1]
    assert statistics.holm([0.02]) == [0.02]
    assert statistics.holm([]) == []


# Over seeds

# Student 1908: hours of sleep gained by ten patients with one drug rather than the other.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_student_s_sleep() -> None:
    found = statistics.mean_ci(SLEEP)
    assert (found.n, found.mean) == pytest.approx((10, 1.58))
    assert found.deviation == pytest.approx(1.23, abs=0.0005)
    assert found.interval == pytest.approx((0.7001, 2.4599), abs=5e-5)
    # t is 4.062 with 9 degrees of freedom, p two-sided 0.002833.
    assert 2 * statistics.p_above(SLEEP, 0) == pytest.approx(0.002833, abs=5e-7)
    assert statistics.p_below(SLEEP, 0) == pytest.approx(1 - 0.002833 / 2, abs=5e-7)
    assert statistics.p_above(SLEEP, 1.58) == pytest.approx(0.5)


def test_a_single_run_has_no_interval() -> None:
    found = statistics.mean_ci([99.1])
    assert (found.n, found.mean, found.interval) == (1, 99.1, None)


def test_runs_that_are_all_the_same() -> None:
    # 99.34 - 98.96 and 0.38 differ in their last bits.
    values = [99.34 - 98.96, 0.38, 98.38 - 98.0]
    assert len(set(values)) > 1
    counted = statistics.mean_ci(values, step=0)
    assert counted.deviation == 0
    assert counted.interval == pytest.approx((0.38, 0.38))
    assert (statistics.p_above(values, 0.38, 0), statistics.p_below(values, 0.38, 0)) == (1, 1)
    assert (statistics.p_above(values, 0.3, 0), statistics.p_below(values, 0.4, 0)) == (0, 0)
    # Rounded to 0.01, they differ by what that has hidden: t(2 degrees, 97.5 %) is 4.303.
    width = 4.303 * 0.01 / math.sqrt(12 * 3)
    assert statistics.mean_ci(values).interval == pytest.approx((0.38 - width, 0.38 + width), abs=1e-5)
    assert statistics.p_above(values, 0.38) == pytest.approx(0.5)
    assert statistics.p_above(values, 0.38 - width) == pytest.approx(0.025, abs=1e-5)


def test_two_runs_that_happen_to_be_the_same_show_little() -> None:
    assert statistics.p_above([99.41, 99.41], 99.4) > 0.05


def test_the_interval_of_a_mean_covers_95_percent() -> None:
    generator = np.random.Generator(np.random.SFC64(1))
    rounds = 2000
    covered = 0
    for sample in generator.normal(99.1, 0.07, (rounds, 5)):
        interval = statistics.mean_ci(sample.tolist()).interval
        assert interval is not None
        covered += interval[0] <= 99.1 <= interval[1]
    # Three standard errors of 95 % in 2000.
    assert covered / rounds == pytest.approx(0.95, abs=0.015)
