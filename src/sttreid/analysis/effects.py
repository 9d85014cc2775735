"""Effects of paired variants with few seeds: estimate, 95 % confidence interval, test at its nominal level.

Seeds and test identities are crossed: with every seed, both models are tested on the same queries of the same
identities. The variance of a mean difference is therefore a sum of two components: that of the seeds, from
the differences of the seeds, and that of the identities, from the cluster bootstrap of
:mod:`sttreid.analysis.uncertainty` on the mean over seeds. The effect divided by the square root of the sum
is compared with Student's t, with the degrees of freedom of Welch and Satterthwaite ("An approximate
distribution of estimates of variance components", Biometrics Bulletin 2, 1946): seeds - 1 where the seeds
dominate, identities - 1 where the identities do. The interaction is in both components, which is
conservative.

The percentile interval of the hierarchical bootstrap is not an alternative: it covers only (S - 1) / S of the
variance of S seeds and lacks the long tails of t. With five seeds, about one null effect in six is
significant instead of one in twenty (tests/analysis/test_effects.py measures it). A sign-flip test over the
seeds is exact, but with five seeds no p-value gets below 1/16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from sttreid.analysis.uncertainty import LEVEL, RESAMPLES, Doubles, Sample, check_pair, resampled
from sttreid.runtime.errors import InputError

DIGITS = 6  # of a fraction in a file: pages round it again, and must not show another number for it
POWER = 0.8  # share of repetitions in which an effect is found, if it is called detectable
P_VALUES = ("p", "p_holm")
P_DIGITS = 4  # of a p-value, significant: corrections multiply it
ROUNDING = 1e-24  # variance of means of fractions that comes from rounding alone


@dataclass(frozen=True)
class Effect:
    """A mean over seeds, for example of a difference, tested for being 0.

    Attributes:
        value: the mean.
        low: lower end of the 95 % confidence interval.
        high: upper end.
        p: two-sided p-value; None with one seed, where the interval covers the identities alone, and where
            nothing varies at all.
        seeds: their number.
        error: standard error of ``value``.
        freedom: degrees of freedom of ``error``.
    """

    value: float
    low: float
    high: float
    p: float | None
    seeds: int
    error: float = 0.0
    freedom: float = np.inf

    def detectable(self) -> float | None:
        """The size of a true effect that a study like this one finds in 80 % of its repetitions.

        Found means a two-sided p-value below 5 %; a correction for several comparisons asks for more. None
        where there is no test.
        """
        if self.p is None:
            return None
        bound = stats.t.ppf((1 + LEVEL) / 2, self.freedom)

        def missing(shift: float) -> float:
            """Power below POWER of an effect of ``shift`` standard errors; its wrong sign is no discovery."""
            return float(stats.nct.sf(bound, self.freedom, shift)) - POWER

        return float(optimize.brentq(missing, 0, 2 * bound)) * self.error


Term = tuple[float, Sequence[Sample]]  # weight of a mean over data sets, and the sample of each data set


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number for each seed, and the means over test identities that compose it.

    Attributes:
        seeds: [S] its values.
        terms: weight and samples of each mean in it; samples of one data set share their identities. Empty
            where no test identities are involved.
    """

    seeds: Doubles
    terms: Sequence[Term] = ()

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.seeds.mean())

    def effect(self, resamples: int = RESAMPLES, seed: int = 0) -> Effect:
        """Its mean, tested for being 0; ``resamples`` and ``seed`` are those of the bootstrap.

        Raises:
            InputError: as :func:`identity_variance`.
        """
        return t_test(self.seeds, *identity_variance(self.terms, resamples, seed))


def mean_over_datasets(samples: Sequence[Sample]) -> Quantity:
    """The mean of a metric over data sets with equal weights."""
    values: Doubles = np.mean([each.by_seed for each in samples], axis=0)
    return Quantity(values, [(1, samples)])


def weighted_sum(terms: Sequence[tuple[float, Quantity]]) -> Quantity:
    """A linear combination of quantities of the same seeds, for example a difference or a slope."""
    values: Doubles = np.sum([weight * quantity.seeds for weight, quantity in terms], axis=0)
    inner = [(weight * share, samples) for weight, each in terms for share, samples in each.terms]
    return Quantity(values, inner)


def difference(ours: Quantity, theirs: Quantity) -> Quantity:
    """Ours minus theirs, seed by seed."""
    return weighted_sum([(1, ours), (-1, theirs)])


def t_test(values: Doubles, variance: float = 0.0, freedom: int = 1) -> Effect:
    """The mean over seeds, tested for being 0.

    Args:
        values: [S] one per seed.
        variance: of their mean over test identities; 0 if no identities are sampled.
        freedom: degrees of freedom of ``variance``, at least 1.

    Raises:
        InputError: there is no value.
    """
    count = len(values)
    if count == 0:
        raise InputError("an effect needs the values of at least 1 seed, got 0")
    value = float(np.mean(values))
    seeds = float(np.var(values, ddof=1)) / count if count > 1 else 0.0
    total = seeds + variance
    if total < ROUNDING:
        return Effect(value, value, value, None, count)
    squares = variance**2 / freedom + (seeds**2 / (count - 1) if count > 1 else 0.0)
    error, both = total**0.5, total**2 / squares
    student = stats.t(both)
    margin = float(student.ppf((1 + LEVEL) / 2)) * error
    p = None if count == 1 else float(2 * student.sf(abs(value) / error))
    return Effect(value, value - margin, value + margin, p, count, error, both)


def identity_variance(terms: Sequence[Term], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, int]:
    """Variance of a weighted sum of means over test identities, and its degrees of freedom.

    The identities of a data set are resampled alike for all terms, which pairs them. Data sets have different
    identities, so their variances add up, with the degrees of freedom of Welch and Satterthwaite. The
    variance of the bootstrap is (C - 1) / C of the true one for C identities, which is corrected here.

    Raises:
        InputError: two terms have different identities or queries of a data set, or it has a single identity.
    """
    by_dataset: dict[str, list[tuple[float, Sample]]] = {}
    for weight, samples in terms:
        for each in samples:
            by_dataset.setdefault(each.dataset, []).append((weight / len(samples), each))
    total, squares = 0.0, 0.0
    for weighted in by_dataset.values():
        first = weighted[0][1]
        if len(first.counts) < 2:
            rule = "a test over identities needs at least 2 of them with queries that count"
            raise InputError(f"{first.dataset}: {rule}, got {len(first.counts)}")
        draws = np.zeros(resamples)
        for weight, each in weighted:
            check_pair(first, each)
            mean = replace(each, sums=each.sums.mean(axis=0, keepdims=True))
            draws += weight * resampled([mean], resamples, seed)
        freedom = len(first.counts) - 1
        variance = float(draws.var(ddof=1)) * len(first.counts) / freedom
        total, squares = total + variance, squares + variance**2 / freedom
    return total, max(1, int(total**2 / squares)) if squares else 1


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values with Holm's correction over all of them, in the same order.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return [float(p) for p in corrected]


def rounded(value: float) -> float:
    """Rounded as in metrics files, without the sign of a zero."""
    return round(value, DIGITS) + 0.0


def rounded_numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Rounded as in metrics files, without missing values; p-values (p, p_holm) by significant digits."""
    return {
        name: float(f"{value:.{P_DIGITS}g}") if name in P_VALUES else rounded(value)
        for name, value in values.items()
        if value is not None
    }
