"""Statistics of runs that differ in their seeds, and of two networks on the same images.

docs/statistics.md declares which ones decide what. SD is the sample standard deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, t

Floats = NDArray[np.float64]
Correct = NDArray[np.bool_]
"""True for each image that a network classifies correctly: [n]."""
Interval = tuple[float, float]

LEVEL = 0.05
"""Probability of a wrong decision that we accept."""


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over runs, of which there is at least one."""

    n: int
    mean: float
    sd: float
    """SD between runs; nan for a single run."""

    @property
    def interval(self) -> Interval | None:
        """95% CI of the mean; None for a single run.

        Student 1908, "The probable error of a mean", Biometrika 6:1.
        """
        return self._around(sqrt(1 / self.n))

    @property
    def prediction(self) -> Interval | None:
        """95% prediction interval of one more run; None for a single run.

        Hahn and Meeker 1991, "Statistical Intervals", section 4.7.
        """
        return self._around(sqrt(1 + 1 / self.n))

    def _around(self, sds: float) -> Interval | None:
        if self.n == 1:
            return None
        half = float(t.isf(LEVEL / 2, self.n - 1)) * self.sd * sds
        return self.mean - half, self.mean + half


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of at least one value, with the SD."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    return Mean(len(values), float(np.mean(values)), sd)


@dataclass(frozen=True)
class Difference:
    """A difference of means, A - B: numbers, or arrays of the same shape."""

    mean: Floats
    se: Floats
    """Standard error of the difference."""
    df: Floats
    """Degrees of freedom of the standard error."""

    def p_above(self, bound: float) -> Floats:
        """Return one-sided p-values for a true difference above `bound`; 1 if it is unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            p = t.sf((self.mean - bound) / self.se, self.df)
        return np.where(np.isnan(p), 1.0, p)

    def p_below(self, bound: float) -> Floats:
        """Return one-sided p-values for a true difference below `bound`; 1 if it is unknown."""
        return Difference(-self.mean, self.se, self.df).p_above(-bound)

    def interval(self, tail: float) -> tuple[Floats, Floats]:
        """Return the ends of the interval that has the probability `tail` on either side."""
        half = self.se * t.isf(tail, self.df)
        return self.mean - half, self.mean + half


def difference(a: ArrayLike, b: ArrayLike | float) -> Difference:
    """Return the differences of the means of independent runs, along the last axis: [..., n > 1].

    Welch 1947, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34:28. If `b` is a number, Student's test of one sample.
    """
    a_mean, a_square, a_df = _mean_and_square(a)
    if np.ndim(b) == 0:
        return Difference(a_mean - np.asarray(b, float), np.sqrt(a_square), np.asarray(a_df, float))
    b_mean, b_square, b_df = _mean_and_square(b)
    square = a_square + b_square
    with np.errstate(invalid="ignore"):
        df = square**2 / (a_square**2 / a_df + b_square**2 / b_df)
    # Values without any spread have an exact difference.
    df = np.where(square == 0, a_df + b_df, df)
    return Difference(a_mean - b_mean, np.sqrt(square), df)


def _mean_and_square(values: ArrayLike) -> tuple[Floats, Floats, int]:
    """Return means, squared standard errors and degrees of freedom along the last axis."""
    sample = np.asarray(values, float)
    n = sample.shape[-1]
    # All the same: without the rounding error of the mean, which would count as spread.
    variance = np.where(np.ptp(sample, axis=-1) == 0, 0.0, sample.var(axis=-1, ddof=1))
    return sample.mean(axis=-1), variance / n, n - 1


def p_superior(a: Sequence[float], b: Sequence[float] | float) -> float:
    """Return P(A > B), the probability that a run of A has a higher value than one of B.

    Ties count half: Vargha and Delaney 2000, "A critique and improvement of the CL common language
    effect size statistics of McGraw and Wong", Journal of Educational and Behavioral Statistics
    25:101. This is the Mann-Whitney statistic, divided by the number of pairs.
    """
    pairs = np.subtract.outer(np.asarray(a, float), np.asarray(b, float))
    return float((np.sign(pairs).mean() + 1) / 2)


@dataclass(frozen=True)
class Holm:
    """Holm's correction of a family of p-values: arrays of their shape, families in the last axis.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6:65.
    """

    adjusted: Floats
    """Adjusted p-values."""
    left: NDArray[np.int64]
    """How many hypotheses are left when this one is decided: it is rejected, or not, at the level
    0.05 / left."""


def holm(ps: ArrayLike) -> Holm:
    """Correct p-values for the number of hypotheses in the last axis: [..., m]."""
    values = np.asarray(ps, float)
    order = np.argsort(values, axis=-1, kind="stable")
    size = values.shape[-1]
    steps = np.arange(size, 0, -1)
    ordered = np.take_along_axis(values, order, axis=-1)
    ordered = np.minimum(np.maximum.accumulate(steps * ordered, axis=-1), 1)
    # The procedure stops at the first hypothesis that it does not reject.
    rejected = ordered <= LEVEL
    stop = size - rejected.sum(axis=-1, keepdims=True)
    adjusted, left = np.empty_like(values), np.empty(values.shape, np.int64)
    np.put_along_axis(adjusted, order, ordered, axis=-1)
    np.put_along_axis(left, order, np.where(rejected, steps, stop), axis=-1)
    return Holm(adjusted, left)


@dataclass(frozen=True)
class Comparison:
    """Network B compared with network A on the same images."""

    only_a_correct: int
    """Number of images that only A classifies correctly."""
    only_b_correct: int
    """Number of images that only B classifies correctly."""
    p: float
    """Two-sided p-value under the null hypothesis of equal accuracy."""


def compare(a: Correct, b: Correct) -> Comparison:
    """Compare two networks by the images that only one of them classifies correctly.

    `p` is that of the exact McNemar test: McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages", Psychometrika 12:153.
    """
    only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
    discordant = only_a + only_b
    p = float(binomtest(only_b, discordant).pvalue) if discordant else 1.0
    return Comparison(only_a, only_b, p)
