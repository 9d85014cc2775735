"""Per-query results -> confidence intervals over test identities and seeds.

Queries of one identity are not independent, so whole identities are resampled with all their queries (cluster
bootstrap). With several seeds, seeds are resampled too, independently of the identities (Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1, 2007: rows and columns of crossed data are resampled
separately). Two models are compared on the same queries, resample by resample, so that the difficulty of the
queries cancels.

With one seed an interval covers the test identities only, not another training run. The bootstrap covers only
(S - 1) / S of the variance of S seeds; :class:`Difference` describes the consequence.

One identity alone says nothing about others, and its resamples are all equal. So where a data set has a
single one, an interval of a metric is everything that the metric can be, and no difference is significant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.retrieval.metrics import METRICS, counted
from sttreid.retrieval.metrics import metric as metric_named
from sttreid.runtime.errors import InputError

RESAMPLES = 1000
LEVEL = 0.95  # of an interval
MIN_SEEDS = 5  # with fewer seeds or identities the intervals are clearly too narrow
MIN_IDENTITIES = 30
DECIMALS = 12  # of a resampled difference: rounding errors must not decide on which side of 0 it lies

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A metric and the ends of its confidence interval, as fractions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference of two models on the same queries.

    Attributes:
        p: two-sided p-value of no difference. It is too small, and the interval too narrow, with few seeds or
            identities. False-positive rate of the nominal 5 % test where the variance of the seeds dominates:
            50 % with 2 seeds, 25 % with 3, 16 % with 5, 10 % with 10. Where seeds do not differ at all: 16 %
            with 5 identities, 11 % with 10, 7 % with 30 (tests/analysis/test_uncertainty.py simulates both).
    """

    p: float

    @property
    def direction(self) -> str:
        """``"above"``, ``"below"``, or ``"not significant"`` where the interval contains 0."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "not significant"


@dataclass(frozen=True, eq=False)
class Sample:
    """One model on one data set, reduced to what resampling needs.

    Attributes:
        dataset: its name; all samples of one data set are resampled alike.
        metric: name of the metric that is summed; samples of different metrics are never combined.
        sums: [S, C] of the metric over the queries of each of C identities, for each of S seeds.
        counts: [C] queries of each identity.
        identities: [C] ascending.
    """

    dataset: str
    metric: str
    sums: Doubles
    counts: Doubles
    identities: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Raises InputError: there is no seed or no identity, or a length is not that of the identities."""
        number = len(self.identities)
        shapes = self.sums.shape[1:], self.counts.shape
        if shapes != ((number,), (number,)) or 0 in self.sums.shape:
            rule = f"sums [S >= 1, C] and counts [C] must be of the {number} identities"
            raise InputError(f"{self.dataset}: {rule}, got {self.sums.shape} and {self.counts.shape}")

    @property
    def by_seed(self) -> Doubles:
        """[S] the metric of each seed: the mean over its queries."""
        means: Doubles = self.sums.sum(axis=1) / self.counts.sum()
        return means

    @property
    def value(self) -> float:
        """The metric: the mean over queries and seeds."""
        return float(self.sums.sum() / self.counts.sum() / len(self.sums))


def sample(dataset: str, tables: Sequence[pd.DataFrame], metric: str) -> Sample:
    """Reduce per-query tables of one model on one data set, one table per seed.

    Args:
        dataset: its name.
        tables: with the columns query, identity, first_hit, ap and inp, as in
            :attr:`sttreid.retrieval.result.Result.per_query`; queries that do not count have no ap.
        metric: name of one of :data:`sttreid.retrieval.metrics.METRICS`.

    Raises:
        InputError: the metric is unknown, there is no table or no query that counts, a query is in a table
            twice or its score is not finite, or two tables hold different queries.
    """
    of_queries = metric_named(metric).of_queries
    counting = [counted(table).sort_values("query") for table in tables]
    if not counting or counting[0].empty:
        raise InputError(f"{dataset}: there must be at least 1 query that counts, got 0")
    keys = counting[0][["query", "identity"]].to_numpy()
    identities, cluster = np.unique(keys[:, 1], return_inverse=True)
    sums = []
    for table in counting:
        values = of_queries(table)
        _check_table(dataset, table, values, metric)
        if not np.array_equal(table[["query", "identity"]].to_numpy(), keys):
            rule = f"all seeds must have the same {len(keys)} queries"
            raise InputError(f"{dataset}: {rule}, got {len(table)} different ones")
        sums.append(np.bincount(cluster, values, len(identities)))
    return Sample(dataset, metric, np.array(sums), np.bincount(cluster).astype(float), identities)


def _check_table(dataset: str, table: pd.DataFrame, values: Doubles, metric: str) -> None:
    """Each query is in the table once, with a finite value."""
    if table["query"].duplicated().any():
        query = table["query"][table["query"].duplicated()].iloc[0]
        raise InputError(f"{dataset}: each query must be in a table once, got query {query} again")
    broken = ~np.isfinite(values)
    if broken.any():
        query, value = table["query"].to_numpy()[broken][0], values[broken][0]
        raise InputError(f"{dataset}: {metric} of query {query} must be finite, got {value}")


def interval(samples: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of a metric over data sets (equal weights) with its confidence interval.

    Args:
        samples: of one metric, all with the same number of seeds; those of one data set have the same
            identities.
        resamples: number of bootstrap resamples, at least 1.
        seed: of the resampling, at least 0.

    Raises:
        InputError: there is no sample, the samples do not fit together, or an argument is too small.
    """
    low, high = percentiles(resampled(samples, resamples, seed))
    if _is_of_one(samples):
        low, high = 0.0, 1.0
    return Interval(float(np.mean([each.value for each in samples])), low, high)


def difference(
    ours: Sequence[Sample], theirs: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Our mean minus theirs on the same queries, with a paired interval; arguments as :func:`interval`.

    Raises:
        InputError: as :func:`interval`; or the data sets, their queries or the metrics differ.
    """
    if len(ours) != len(theirs):
        rule = "a paired comparison needs the same data sets"
        raise InputError(f"{rule}, got {len(ours)} of ours, {len(theirs)} of theirs")
    for our, their in zip(ours, theirs, strict=True):
        check_pair(our, their)
    effects = (resampled(ours, resamples, seed) - resampled(theirs, resamples, seed)).round(DECIMALS)
    low, high = percentiles(effects)
    if _is_of_one(ours):
        low, high, effects = -1.0, 1.0, np.zeros(resamples)
    tail = (min(int((effects <= 0).sum()), int((effects >= 0).sum())) + 1) / (resamples + 1)
    value = float(np.mean([each.value for each in ours]) - np.mean([each.value for each in theirs]))
    return Difference(value, low, high, min(1.0, 2 * tail))


def _is_of_one(samples: Sequence[Sample]) -> bool:
    """Whether a metric, a fraction, is that of a single identity in a data set."""
    is_metric = samples[0].metric in {each.name for each in METRICS}
    return is_metric and any(len(each.identities) == 1 for each in samples)


def check_pair(ours: Sample, theirs: Sample) -> None:
    """Two models can be compared.

    Raises:
        InputError: the metrics, the data sets, their queries or the numbers of seeds differ.
    """
    if ours.metric != theirs.metric:
        rule = "a paired comparison needs one metric"
        raise InputError(f"{ours.dataset}: {rule}, got {ours.metric} and {theirs.metric}")
    same = ours.dataset == theirs.dataset and np.array_equal(ours.identities, theirs.identities)
    if not same or not np.array_equal(ours.counts, theirs.counts):
        rule = "a paired comparison needs the same queries"
        got = f"{ours.counts.sum():.0f} of {len(ours.counts)} identities and {theirs.counts.sum():.0f}"
        raise InputError(f"{ours.dataset}: {rule}, got {got} of {len(theirs.counts)} in {theirs.dataset}")
    if len(ours.sums) != len(theirs.sums):
        rule = "a paired comparison needs the same number of seeds"
        raise InputError(f"{ours.dataset}: {rule}, got {len(ours.sums)} and {len(theirs.sums)}")


def resampled(samples: Sequence[Sample], resamples: int, seed: int) -> Doubles:
    """[resamples] means over the data sets of the resampled metric; equal arguments give equal draws.

    The draws depend on the name and the number of identities of a data set alone, so that two models with the
    same identities are resampled alike, in one call or in two.

    Raises:
        InputError: as :func:`interval`.
    """
    _check_arguments(resamples, seed)
    _check_samples(samples)
    count = len(samples[0].sums)
    weights = draws(resamples, count, seed) / count  # [R, S]
    total = np.zeros(resamples)
    for each in samples:
        # [R, C] how often each identity was drawn
        drawn = draws(resamples, len(each.counts), seed, each.dataset)
        total += ((drawn @ each.sums.T) * weights).sum(axis=1) / (drawn @ each.counts)
    return total / len(samples)


def _check_arguments(resamples: int, seed: int) -> None:
    for name, value, least in (("resamples", resamples, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")


def _check_samples(samples: Sequence[Sample]) -> None:
    """One metric, one number of seeds, and in one data set the same identities."""
    seeds = sorted({len(each.sums) for each in samples})
    if len(seeds) != 1:
        raise InputError(f"there must be samples, all with the same number of seeds, got {seeds} seeds")
    metrics = sorted({each.metric for each in samples})
    if len(metrics) != 1:
        raise InputError(f"all samples must be of one metric, got {' and '.join(metrics)}")
    first: dict[str, Sample] = {}
    for each in samples:
        expected = first.setdefault(each.dataset, each).identities
        if not np.array_equal(expected, each.identities):
            shared = len(np.intersect1d(expected, each.identities))
            rule = "all samples of a data set must have the same identities"
            got = f"{len(expected)} and {len(each.identities)}, of which {shared} are shared"
            raise InputError(f"{each.dataset}: {rule}, got {got}")


@lru_cache(maxsize=8)  # a report resamples the same identities hundreds of times; MARS takes 5 MB
def draws(resamples: int, count: int, seed: int, dataset: str | None = None) -> Doubles:
    """[resamples, count] how often each of ``count`` identities of a data set, or seeds, is drawn."""
    stream = (seed,) if dataset is None else (seed, crc32(dataset.encode()))
    rng = np.random.default_rng([*stream, count])
    drawn = rng.multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    drawn.setflags(write=False)
    return drawn


def percentiles(values: Doubles) -> tuple[float, float]:
    """The ends of the interval of resampled values."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
