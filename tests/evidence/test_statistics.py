"""Against published and hand-computed numbers, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from study.evidence import statistics
from study.evidence.statistics import Correct


def pair(both: int, only_a: int, only_b: int, neither: int) -> tuple[Correct, Correct]:
    counts = (both, only_a, only_b, neither)
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
def test_accuracy_interval_matches_newcombe_1998(
    count: int, images: int, low: float, high: float
) -> None:
    interval = statistics.accuracy_interval(np.arange(images) < count)
    assert interval == pytest.approx((100 * low, 100 * high), abs=0.006)


def test_compare_gives_mcnemar_p_by_hand() -> None:
    """12 against 2: at most two heads or at most two tails in 14 throws."""
    compared = statistics.compare(*pair(20, 12, 2, 16))
    assert (compared.only_a_correct, compared.only_b_correct) == (12, 2)
    assert compared.difference == pytest.approx(-20)
    assert compared.p == pytest.approx(2 * sum(math.comb(14, k) for k in range(3)) / 2**14)


def test_compare_matches_fagerland_2017() -> None:
    """Complete response of 161 patients, before and after a second therapy: Cavo et al. 2012.

    Fagerland, Lydersen and Laake 2017, "Statistical Analysis of Contingency Tables", chapter 8;
    numbers as in its R package, contingencytables (there, the first minus the second).
    """
    compared = statistics.compare(*pair(59, 6, 16, 80))
    assert compared.difference == pytest.approx(6.21, abs=0.006)
    assert compared.interval == pytest.approx((0.46, 11.86), abs=0.006)
    assert compared.p == pytest.approx(0.052479, abs=6e-7)


@pytest.mark.parametrize(
    ("counts", "difference"), [((90, 0, 0, 10), 0), ((0, 0, 1, 0), 100), ((5, 0, 0, 0), 0)]
)
def test_compare_extreme_counts_shows_nothing(
    counts: tuple[int, int, int, int], difference: float
) -> None:
    compared = statistics.compare(*pair(*counts))
    assert (compared.difference, compared.p) == (difference, 1)
    low, high = compared.interval
    assert low <= 0 <= high <= 100.000001


def test_difference_interval_without_correlation_matches_newcombe_1998() -> None:
    """9 of 10 minus 3 of 10: 0.1705 to 0.8090.

    Newcombe 1998, "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17:873, table II, method 10.
    """
    low, high = statistics.difference_interval(*pair(3, 0, 6, 1))
    assert (low, high) == pytest.approx((17.05, 80.90), abs=0.006)


def test_difference_interval_correlated_answers_is_narrower() -> None:
    def width(a: Correct, b: Correct) -> float:
        low, high = statistics.difference_interval(a, b)
        return high - low

    # 9,800 and 9,850 of 10,000 correct: few discordant images, as many as by chance, and all.
    together, chance, apart = (
        pair(9790, 10, 60, 140),
        pair(9653, 147, 197, 3),
        pair(9650, 150, 200, 0),
    )
    assert width(*together) < width(*chance) <= width(*apart)


def test_difference_interval_many_images_is_normal() -> None:
    """The product of the margins exceeds 64 bits."""
    low, high = statistics.difference_interval(*pair(40_000, 20_000, 25_000, 35_000))
    difference = 100 * 5_000 / 120_000
    se = 100 * math.sqrt(45_000 - 5_000**2 / 120_000) / 120_000
    assert (low, high) == pytest.approx((difference - 1.96 * se, difference + 1.96 * se), abs=0.001)


def test_difference_interval_swapped_networks_changes_sign() -> None:
    a, b = pair(9700, 80, 120, 100)
    low, high = statistics.difference_interval(a, b)
    assert statistics.difference_interval(b, a) == pytest.approx((-high, -low))


def test_difference_interval_covers_95_percent() -> None:
    draw = np.random.Generator(np.random.SFC64(1))
    shares = (0.975, 0.006, 0.010, 0.009)  # about as correlated as the networks here
    difference = 100 * (shares[2] - shares[1])
    trials = 1000
    covered = 0
    for counts in draw.multinomial(10_000, shares, size=trials):
        low, high = statistics.difference_interval(*pair(*counts))
        covered += low <= difference <= high
    low, high = binom.ppf((0.0005, 0.9995), trials, 0.95)
    assert low <= covered <= high


def test_compare_equal_networks_rejects_at_most_5_percent() -> None:
    draw = np.random.Generator(np.random.SFC64(2))
    counts = draw.multinomial(10_000, (0.98, 0.005, 0.005, 0.01), size=500)
    found = sum(statistics.compare(*pair(*each)).p < 0.05 for each in counts)
    # The exact test is conservative.
    assert 5 <= found <= binom.ppf(0.9995, 500, 0.05)


# Student 1908: hours of sleep gained by ten patients with one drug rather than the other.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_t_interval_and_p_match_student_1908() -> None:
    found = statistics.mean_ci(SLEEP)
    assert (found.n, found.mean) == pytest.approx((10, 1.58))
    assert found.sd == pytest.approx(1.23, abs=0.0005)
    assert found.interval == pytest.approx((0.7001, 2.4599), abs=5e-5)
    # t is 4.062 with 9 degrees of freedom; p, two-sided, is 0.002833.
    assert 2 * statistics.p_above(SLEEP, 0) == pytest.approx(0.002833, abs=5e-7)
    assert statistics.p_below(SLEEP, 0) == pytest.approx(1 - 0.002833 / 2, abs=5e-7)
    assert statistics.p_above(SLEEP, 1.58) == pytest.approx(0.5)


def test_mean_ci_single_run_has_no_interval() -> None:
    found = statistics.mean_ci([99.1])
    assert (found.n, found.mean, found.interval) == (1, 99.1, None)


# These differ in their last bits.
EQUAL = [99.34 - 98.96, 0.38, 98.38 - 98.0]


def test_equal_counts_are_certain() -> None:
    assert len(set(EQUAL)) > 1
    counted = statistics.mean_ci(EQUAL, resolution=0)
    assert counted.sd == 0
    assert counted.interval == pytest.approx((0.38, 0.38))
    assert (statistics.p_above(EQUAL, 0.38, 0), statistics.p_below(EQUAL, 0.38, 0)) == (1, 1)
    assert (statistics.p_above(EQUAL, 0.3, 0), statistics.p_below(EQUAL, 0.4, 0)) == (0, 0)


def test_equal_rounded_values_have_the_se_of_rounding() -> None:
    # t with 2 degrees of freedom, 97.5%, is 4.303.
    width = 4.303 * 0.01 / math.sqrt(12 * 3)
    assert statistics.mean_ci(EQUAL).interval == pytest.approx(
        (0.38 - width, 0.38 + width), abs=1e-5
    )
    assert statistics.p_above(EQUAL, 0.38) == pytest.approx(0.5)
    assert statistics.p_above(EQUAL, 0.38 - width) == pytest.approx(0.025, abs=1e-5)
    assert statistics.p_above([99.41, 99.41], 99.4) > 0.05


def test_mean_ci_covers_95_percent() -> None:
    generator = np.random.Generator(np.random.SFC64(1))
    trials = 1000
    covered = 0
    for sample in generator.normal(99.1, 0.07, (trials, 5)):
        interval = statistics.mean_ci(sample.tolist()).interval
        assert interval is not None
        covered += interval[0] <= 99.1 <= interval[1]
    # Three standard errors of 95% in 1000.
    assert covered / trials == pytest.approx(0.95, abs=0.021)


def test_paired_difference_uses_common_seeds_in_any_order() -> None:
    """Seeds differ by up to 2 points; each gains 0.1."""
    baseline = {1: 98.0, 2: 99.0, 3: 98.5, 4: 97.5, 6: 90.0}
    values = {5: 50.0, 4: 97.61, 3: 98.60, 2: 99.10, 1: 98.11}
    paired = statistics.paired_difference(values, baseline, 0.01)
    assert paired.seeds == (1, 2, 3, 4)
    assert paired.differences == pytest.approx((0.11, 0.10, 0.10, 0.11))
    assert paired.mean.mean == pytest.approx(0.105)
    assert paired.p_above(0) < 0.001
    assert paired.p_below(0) > 0.999


def test_paired_difference_to_a_constant_uses_all_seeds() -> None:
    paired = statistics.paired_difference({1: 99.5, 2: 99.6}, 99.4, 0.01)
    assert paired.differences == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize(
    ("values", "known"), [({}, False), ({2: 1.0}, False), ({1: math.nan}, False), ({1: 2.0}, True)]
)
def test_paired_difference_is_known_with_finite_pairs(
    values: dict[int, float], known: bool
) -> None:
    assert statistics.paired_difference(values, {1: 1.0}, 0.01).is_known == known


def test_holm_by_hand() -> None:
    # Smallest times 4, next times 3, then times 2; never below the one before.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.9]) == [1, 1]
    assert statistics.holm([0.02]) == [0.02]
    assert statistics.holm([]) == []
