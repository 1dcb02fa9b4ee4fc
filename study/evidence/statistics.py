"""How sure it is that one network or one recipe is better than another.

Networks are compared by their answers to the same images, recipes by runs with several seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, t, ttest_1samp

Correct = NDArray[np.bool_]
"""Which images a network is right about: [n]."""
Interval = tuple[float, float]

CONFIDENCE = 0.95
RESOLUTION = 0.01
"""Points between two accuracies on 10,000 images that are next to each other."""


@dataclass(frozen=True)
class Comparison:
    """A second network against a first one, on the same images; differences in points."""

    only_a_correct: int
    """Images that the first one alone is right about."""
    only_b_correct: int
    difference: float
    """Accuracy of the second less that of the first."""
    interval: Interval
    """95 % interval of the difference."""
    p: float
    """How likely a difference at least as large is if none is more often right than the other."""


def compare(first: Correct, second: Correct) -> Comparison:
    """Compare two networks by the images that one of them alone is right about.

    `p` is that of the exact McNemar test: McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages", Psychometrika 12:153.
    """
    _, only_a_correct, only_b_correct, _ = counts(first, second)
    discordant = only_a_correct + only_b_correct
    return Comparison(
        only_a_correct,
        only_b_correct,
        100 * (only_b_correct - only_a_correct) / len(first),
        difference_interval(first, second),
        float(binomtest(only_b_correct, discordant).pvalue) if discordant else 1.0,
    )


def accuracy_interval(right: Correct) -> Interval:
    """Return the 95 % interval of an accuracy in percent.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22:209.
    """
    test = binomtest(int(right.sum()), len(right))
    low, high = test.proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(low), 100 * float(high)


def difference_interval(first: Correct, second: Correct) -> Interval:
    """Return the 95 % interval of the second accuracy less the first, in points.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17:2635, method 10.
    """
    both, only_a_correct, only_b_correct, neither = counts(first, second)
    margins = (
        (both + only_a_correct)
        * (only_b_correct + neither)
        * (both + only_b_correct)
        * (only_a_correct + neither)
    )
    correlation = 0.0
    if margins:
        excess = both * neither - only_a_correct * only_b_correct
        corrected = max(excess - len(first) / 2, 0) if excess > 0 else excess
        correlation = corrected / sqrt(margins)

    p, q = 100 * first.mean(), 100 * second.mean()
    (p_low, p_high), (q_low, q_high) = accuracy_interval(first), accuracy_interval(second)

    def distance(a: float, b: float) -> float:
        return sqrt(max(a * a - 2 * correlation * a * b + b * b, 0))

    difference = float(q - p)
    return (
        difference - distance(q - q_low, p_high - p),
        difference + distance(q_high - q, p - p_low),
    )


def counts(first: Correct, second: Correct) -> tuple[int, int, int, int]:
    """Count the images that both are right about, only the first, only the second, and neither."""
    pairs = ((first & second), (first & ~second), (~first & second), (~first & ~second))
    both, only_a_correct, only_b_correct, neither = (int(pair.sum()) for pair in pairs)
    return both, only_a_correct, only_b_correct, neither


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for being several, in the order given.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6:65.
    """
    order = np.argsort(ps, kind="stable")
    factors = np.arange(len(ps), 0, -1)
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * np.array(ps)[order]), 1)
    return [float(p) for p in corrected]


@dataclass(frozen=True)
class MeanCI:
    """The mean of one figure over runs that differ by their seeds."""

    n: int
    mean: float
    sd: float
    """Standard deviation (n - 1) of one run; nan of a single one."""
    interval: Interval | None
    """95 % interval of the mean, Student's; None of a single run."""


def mean_ci(values: Sequence[float], resolution: float = RESOLUTION) -> MeanCI:
    """Return the mean of at least one value, and how sure it is.

    Student 1908, "The probable error of a mean", Biometrika 6:1. `resolution` is the rounding step
    of the values; it gives a nonzero standard error if all values are equal.
    """
    sample = drop_float_noise(values)
    average = float(sample.mean())
    if len(sample) == 1:
        return MeanCI(1, average, np.nan, None)
    if np.ptp(sample) == 0:
        width = rounding_se(sample, resolution) * float(
            t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1)
        )
        return MeanCI(len(sample), average, 0.0, (average - width, average + width))
    low, high = ttest_1samp(sample, 0).confidence_interval(CONFIDENCE)
    return MeanCI(len(sample), average, float(sample.std(ddof=1)), (float(low), float(high)))


def p_above(values: Sequence[float], bound: float, resolution: float = RESOLUTION) -> float:
    """Return the one-sided p-value of Student's t-test for a mean above `bound`.

    `resolution` is the rounding step of the values. Equal counts (resolution 0) give 0 or 1.
    """
    sample = drop_float_noise(values)
    if np.ptp(sample) == 0:
        excess = float(sample[0]) - bound
        if resolution == 0:
            return 0.0 if excess > 0 else 1.0
        return float(t.sf(excess / rounding_se(sample, resolution), len(sample) - 1))
    return float(ttest_1samp(sample, bound, alternative="greater").pvalue)


def p_below(values: Sequence[float], bound: float, resolution: float = RESOLUTION) -> float:
    """Return the one-sided p-value of Student's t-test for a mean below `bound`."""
    return p_above([-value for value in values], -bound, resolution)


def rounding_se(sample: NDArray[np.float64], resolution: float) -> float:
    """Return the standard error of the mean of values that are equal after rounding.

    The rounding error has an SD of resolution / √12: Sheppard 1897, "On the calculation of the most
    probable values of frequency-constants", Proceedings of the London Mathematical Society 29:353.
    """
    return resolution / sqrt(12 * len(sample))


def drop_float_noise(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the values without the rounding error of a difference: 99.34 - 99.09 is 0.25."""
    return np.array(values, float).round(9)
