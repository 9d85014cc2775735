"""Paired effects of two arms with few seeds: size, 95 % interval and a test that keeps its level.

Seeds and test people are crossed: every seed's two models are asked the same queries of the same people. The
variance of a mean difference is therefore the sum of two parts. That of the seeds is estimated from the
differences seed by seed; that of the people by the cluster bootstrap of :mod:`sttreid.analysis.uncertainty` on the
mean over seeds. The effect divided by the root of their sum is compared with Student's t, whose degrees of
freedom follow Welch and Satterthwaite ("An approximate distribution of estimates of variance components",
Biometrics Bulletin 2, 1946): seeds - 1 where the seeds decide, people - 1 where the people do.

Why not simply a percentile of the hierarchical bootstrap over both: of S seeds it sees (S - 1) / S of their
variance and knows nothing of t's long tails, so that with five seeds it calls about one null effect in six
significant instead of one in twenty (tests/report/test_effects.py counts). Flipping the signs of the seeds'
differences is exact, but with five seeds no result, however clear, gets below p = 1/16.

The part of seeds and people together (interaction) is counted in both parts, which errs on the safe side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sttreid.analysis.uncertainty import LEVEL, RESAMPLES, Sample, resampled
from sttreid.runtime.errors import InputError

ROUNDING = 1e-24  # a variance that rounding alone gives to means of fractions

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """A mean difference over seeds; ``p`` is two-sided, for the hypothesis of none.

    With one seed nothing is known about another: the interval is over people alone, and ``p`` is None; so it
    is where nothing varies at all.
    """

    value: float
    low: float
    high: float
    p: float | None
    seeds: int


Part = tuple[float, Sequence[Sample]]  # a weight and one sample a data set


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number with each seed, and the means over test people that it hangs on.

    Attributes:
        seeds: [S] its values.
        parts: the weight and the samples of each mean in it; those of one data set are of the same people.
            None where no test people are drawn.
    """

    seeds: Doubles
    parts: Sequence[Part] = ()

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.seeds.mean())

    def effect(self, resamples: int = RESAMPLES, seed: int = 0) -> Effect:
        """Its mean, tested for being 0; ``seed`` is of the draws of people."""
        return effect(self.seeds, *people(self.parts, resamples, seed))


def accuracy(samples: Sequence[Sample]) -> Quantity:
    """The mean over data sets, each counting alike."""
    return Quantity(by_seed(samples), [(1, samples)])


def weighted(terms: Sequence[tuple[float, Quantity]]) -> Quantity:
    """A weighted sum, for example a difference or a slope."""
    values: Doubles = np.sum([weight * one.seeds for weight, one in terms], axis=0)
    return Quantity(values, [(weight * share, own) for weight, one in terms for share, own in one.parts])


def paired(
    ours: Sequence[Sample], theirs: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0
) -> Effect:
    """Our mean minus theirs over data sets, each counting alike, on the same queries with the same seeds.

    Args:
        ours: one sample a data set, all of one measure and of S seeds in one order.
        theirs: of the same data sets.
        resamples: how often people are drawn anew.
        seed: of these draws.
    """
    return weighted([(1, accuracy(ours)), (-1, accuracy(theirs))]).effect(resamples, seed)


def effect(differences: Doubles, variance: float = 0.0, freedom: int = 1) -> Effect:
    """The mean of paired differences, tested.

    Args:
        differences: [S] one a seed.
        variance: of their mean over the people who are asked, 0 if these are no sample.
        freedom: degrees of freedom behind ``variance``, at least 1.

    Raises:
        InputError: there is no difference.
    """
    count = len(differences)
    if count == 0:
        raise InputError("an effect needs the differences of at least 1 seed, got 0")
    value = float(np.mean(differences))
    seeds = float(np.var(differences, ddof=1)) / count if count > 1 else 0.0
    total = seeds + variance
    if total < ROUNDING:  # no spread at all, which no test can use
        return Effect(value, value, value, None, count)
    squares = variance**2 / freedom + (seeds**2 / (count - 1) if count > 1 else 0.0)
    student = stats.t(total**2 / squares)
    reach = float(student.ppf((1 + LEVEL) / 2)) * total**0.5
    p = None if count == 1 else float(2 * student.sf(abs(value) / total**0.5))
    return Effect(value, value - reach, value + reach, p, count)


def by_seed(samples: Sequence[Sample]) -> Doubles:
    """[S] the mean over data sets with each seed."""
    means: Doubles = np.mean([one.sums.sum(axis=1) / one.counts.sum() for one in samples], axis=0)
    return means


def people(parts: Sequence[Part], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, int]:
    """Variance of a weighted sum of means over other test people, and its degrees of freedom.

    The people of a data set are drawn alike for all parts, which pairs them; those of two data sets are
    others, so their variances add up, and the degrees of freedom as Welch and Satterthwaite say. The
    bootstrap's variance is (C - 1) / C of the true one for C people, which is mended here.

    Raises:
        InputError: two parts have not the same people and queries of a data set.
    """
    places: dict[str, list[tuple[float, Sample]]] = {}
    for weight, samples in parts:
        for one in samples:
            places.setdefault(one.place, []).append((weight / len(samples), one))
    total, squares = 0.0, 0.0
    for own in places.values():
        _check_pairs([one for _, one in own])
        count = len(own[0][1].counts)
        draws = np.zeros(resamples)
        for weight, one in own:
            mean = replace(one, sums=one.sums.mean(axis=0, keepdims=True))
            draws += weight * resampled([mean], resamples, seed)
        variance = float(draws.var(ddof=1)) * count / max(1, count - 1)
        total, squares = total + variance, squares + variance**2 / max(1, count - 1)
    return total, max(1, int(total**2 / squares)) if squares else 1


def _check_pairs(samples: Sequence[Sample]) -> None:
    first = samples[0]
    for one in samples[1:]:
        same = np.array_equal(one.identities, first.identities) and np.array_equal(one.counts, first.counts)
        if not same or one.measure != first.measure:
            rule = "a paired comparison needs the same queries of the same people, by one measure"
            raise InputError(
                f"{one.place}: {rule}, got {len(first.counts)} people and {len(one.counts)} others"
            )


def holm(values: Sequence[float]) -> list[float]:
    """P-values after Holm's correction for all of them, in their order.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    order = np.argsort(values)
    adjusted = np.empty(len(values))
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return [float(value) for value in adjusted]
