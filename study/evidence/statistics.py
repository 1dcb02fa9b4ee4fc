"""Statistical comparison of two networks (same images) or of two configurations (several seeds).

All intervals are 95% confidence intervals. SD is the sample standard deviation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, t, ttest_1samp

Correct = NDArray[np.bool_]
"""True for each image that a network classifies correctly: [n]."""
Interval = tuple[float, float]

CONFIDENCE = 0.95
RESOLUTION = 0.01
"""Step between two accuracies on 10,000 images, in points."""

# Two networks, the same images


@dataclass(frozen=True)
class Comparison:
    """Network B compared with network A on the same images; differences in points."""

    only_a_correct: int
    """Number of images that only A classifies correctly."""
    only_b_correct: int
    """Number of images that only B classifies correctly."""
    difference: float
    """Accuracy of B minus accuracy of A."""
    interval: Interval
    """95% CI of the difference."""
    p: float
    """Two-sided p-value under the null hypothesis of equal accuracy."""


def compare(a: Correct, b: Correct) -> Comparison:
    """Compare two networks by the images that only one of them classifies correctly.

    `p` is that of the exact McNemar test: McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages", Psychometrika 12:153.
    """
    _, only_a, only_b, _ = counts(a, b)
    discordant = only_a + only_b
    return Comparison(
        only_a_correct=only_a,
        only_b_correct=only_b,
        difference=100 * (only_b - only_a) / len(a),
        interval=difference_interval(a, b),
        p=float(binomtest(only_b, discordant).pvalue) if discordant else 1.0,
    )


def accuracy_interval(correct: Correct) -> Interval:
    """Return the 95% CI of an accuracy, in percent.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22:209.
    """
    test = binomtest(int(correct.sum()), len(correct))
    low, high = test.proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(low), 100 * float(high)


def difference_interval(a: Correct, b: Correct) -> Interval:
    """Return the 95% CI of the accuracy of B minus that of A, in points.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17:2635, method 10.
    """
    both, only_a, only_b, neither = counts(a, b)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    correlation = 0.0
    if margins:
        excess = both * neither - only_a * only_b
        corrected = max(excess - len(a) / 2, 0) if excess > 0 else excess
        correlation = corrected / sqrt(margins)

    p, q = 100 * a.mean(), 100 * b.mean()
    (p_low, p_high), (q_low, q_high) = accuracy_interval(a), accuracy_interval(b)

    def distance(x: float, y: float) -> float:
        return sqrt(max(x * x - 2 * correlation * x * y + y * y, 0))

    difference = float(q - p)
    return (
        difference - distance(q - q_low, p_high - p),
        difference + distance(q_high - q, p - p_low),
    )


def counts(a: Correct, b: Correct) -> tuple[int, int, int, int]:
    """Return the numbers of images that both, only A, only B and neither classify correctly."""
    both, only_a, only_b, neither = (
        int(pairs.sum()) for pairs in ((a & b), (a & ~b), (~a & b), (~a & ~b))
    )
    return both, only_a, only_b, neither


# Several seeds


@dataclass(frozen=True)
class MeanCI:
    """The mean of a metric over runs that differ in their seeds."""

    n: int
    mean: float
    sd: float
    """SD between runs; nan for a single run."""
    interval: Interval | None
    """95% CI of the mean (Student's t); None for a single run."""


def mean_ci(values: Sequence[float], resolution: float = RESOLUTION) -> MeanCI:
    """Return the mean of at least one value, with its 95% CI.

    Student 1908, "The probable error of a mean", Biometrika 6:1. `resolution` is the rounding step
    of the values; it gives a nonzero standard error if all values are equal.
    """
    sample = drop_float_noise(values)
    mean = float(sample.mean())
    if len(sample) == 1:
        return MeanCI(1, mean, np.nan, None)
    if np.ptp(sample) == 0:
        width = rounding_se(sample, resolution) * float(
            t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1)
        )
        return MeanCI(len(sample), mean, 0.0, (mean - width, mean + width))
    low, high = ttest_1samp(sample, 0).confidence_interval(CONFIDENCE)
    return MeanCI(len(sample), mean, float(sample.std(ddof=1)), (float(low), float(high)))


def p_above(values: Sequence[float], bound: float, resolution: float = RESOLUTION) -> float:
    """Return the one-sided p-value of Student's t-test for a mean above `bound`.

    `resolution` is the rounding step of the values; equal counts (resolution 0) give 0 or 1.
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
    """Return the values without the floating-point error of a difference: 99.34 - 99.09 is 0.25."""
    return np.array(values, float).round(9)


@dataclass(frozen=True)
class PairedDifference:
    """A metric minus its baseline, paired by seed."""

    seeds: tuple[int, ...]
    """Seeds that have both values."""
    values: tuple[float, ...]
    baselines: tuple[float, ...]
    resolution: float
    """Rounding step of the metric; 0 for a count."""

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """Value minus baseline, for each seed."""
        return tuple(a - b for a, b in zip(self.values, self.baselines, strict=True))

    @property
    def is_known(self) -> bool:
        """True if there are runs and all differences are finite: a failed training may give nan."""
        return bool(self.seeds) and all(map(isfinite, self.differences))

    @property
    def mean(self) -> MeanCI:
        """The mean difference, of at least one seed."""
        return mean_ci(self.differences, self.resolution)

    def p_above(self, bound: float) -> float:
        """Return the one-sided p-value for a mean difference above `bound`."""
        return p_above(self.differences, bound, self.resolution)

    def p_below(self, bound: float) -> float:
        """Return the one-sided p-value for a mean difference below `bound`."""
        return p_below(self.differences, bound, self.resolution)


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float] | float, resolution: float
) -> PairedDifference:
    """Pair the values of a metric, by seed, with those of a baseline or with a constant."""
    if not isinstance(baseline, Mapping):
        baseline = dict.fromkeys(values, baseline)
    seeds = tuple(sorted(values.keys() & baseline.keys()))
    return PairedDifference(
        seeds,
        tuple(values[seed] for seed in seeds),
        tuple(baseline[seed] for seed in seeds),
        resolution,
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple testing, in the order given.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6:65.
    """
    order = np.argsort(ps, kind="stable")
    factors = np.arange(len(ps), 0, -1)
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * np.array(ps)[order]), 1)
    return [float(p) for p in corrected]
