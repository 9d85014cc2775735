"""Per-query results -> intervals: what another choice of test people, and of seeds, would have given.

Queries of one person are not independent, so whole identities are drawn with replacement, all their queries
together (a cluster bootstrap); with several seeds these are drawn as well, independently of the identities
(Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007: rows and columns of crossed data are
drawn apart). Two models that were asked the same queries are compared draw by draw, which takes out how hard
the queries are.

With one seed an interval says nothing about training again, and of S seeds the bootstrap sees only
(S - 1) / S of their variance: half with two, four fifths with five.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.errors import InputError

RESAMPLES = 1000
LEVEL = 0.95  # of an interval
RANKS = {"rank1": 1, "rank5": 5, "rank10": 10, "rank20": 20}
COLUMNS = {"mAP": "ap", "mINP": "inp"}

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A measure and the ends of its interval, as fractions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A difference of two models on the same queries; ``p`` is two-sided, for the hypothesis of none."""

    p: float


@dataclass(frozen=True, eq=False)
class Sample:
    """One model on one data set, reduced to what resampling needs.

    Attributes:
        place: name of the data set: all samples of one are resampled alike.
        sums: [S, C] of a measure over the queries of each of C identities, with each of S seeds.
        counts: [C] queries of each identity.
        identities: [C] ascending.
    """

    place: str
    sums: Doubles
    counts: Doubles
    identities: NDArray[np.int64]

    @property
    def value(self) -> float:
        """The measure: the mean over queries and seeds."""
        return float(self.sums.sum() / self.counts.sum() / len(self.sums))


def sample(place: str, tables: Sequence[pd.DataFrame], measure: str) -> Sample:
    """Reduce per-query tables of one model on one data set, one table a seed.

    Args:
        place: name of the data set.
        tables: with the columns query, identity, first_hit, ap and inp, as in
            :attr:`sttreid.retrieval.metrics.Result.per_query`; queries that do not count have no ap.
        measure: rank1, rank5, rank10, rank20, mAP or mINP.

    Raises:
        InputError: the measure is unknown, there is no table or no query that counts, or two tables hold
            other queries.
    """
    if measure not in {**RANKS, **COLUMNS}:
        raise InputError(f"the measure must be one of {', '.join([*RANKS, *COLUMNS])}, got {measure!r}")
    counted = [table[table["ap"].notna()].sort_values("query") for table in tables]
    if not counted or counted[0].empty:
        raise InputError(f"{place}: there must be at least 1 query that counts, got 0")
    keys = counted[0][["query", "identity"]].to_numpy()
    for table in counted[1:]:
        if not np.array_equal(table[["query", "identity"]].to_numpy(), keys):
            raise InputError(
                f"{place}: all seeds must have the same {len(keys)} queries, got {len(table)} others"
            )
    identities, cluster = np.unique(keys[:, 1], return_inverse=True)
    sums = [np.bincount(cluster, _values(table, measure), len(identities)) for table in counted]
    return Sample(place, np.array(sums), np.bincount(cluster).astype(float), identities)


def _values(table: pd.DataFrame, measure: str) -> Doubles:
    if measure in RANKS:
        first = table["first_hit"].to_numpy()
        hits: Doubles = ((first > 0) & (first <= RANKS[measure])).astype(float)
        return hits
    return np.asarray(table[COLUMNS[measure]], float)


def interval(samples: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of a measure over data sets (each counts alike), and its interval.

    Args:
        samples: of one measure; all with the same number of seeds.
        resamples: how often people and seeds are drawn anew.
        seed: of the draws.

    Raises:
        InputError: there is no sample, or their numbers of seeds differ.
    """
    low, high = _ends(resampled(samples, resamples, seed))
    return Interval(float(np.mean([one.value for one in samples])), low, high)


def difference(
    ours: Sequence[Sample], theirs: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Our mean minus theirs on the same queries, with a paired interval; arguments as :func:`interval`.

    Raises:
        InputError: as :func:`interval`; or the data sets or their queries differ.
    """
    if len(ours) != len(theirs):
        raise InputError(
            f"a paired comparison needs the same data sets, got {len(ours)} of ours, {len(theirs)} of theirs"
        )
    for one, other in zip(ours, theirs, strict=True):
        same = one.place == other.place and np.array_equal(one.identities, other.identities)
        if not same or not np.array_equal(one.counts, other.counts):
            raise InputError(
                f"{one.place}: a paired comparison needs the same queries, got those of {other.place}"
            )
        if len(one.sums) != len(other.sums):
            seeds = f"{len(one.sums)} and {len(other.sums)}"
            raise InputError(f"{one.place}: a paired comparison needs equally many seeds, got {seeds}")
    draws = resampled(ours, resamples, seed) - resampled(theirs, resamples, seed)
    low, high = _ends(draws)
    tail = (min(int((draws <= 0).sum()), int((draws >= 0).sum())) + 1) / (resamples + 1)
    value = float(np.mean([one.value for one in ours]) - np.mean([one.value for one in theirs]))
    return Difference(value, low, high, min(1.0, 2 * tail))


def resampled(samples: Sequence[Sample], resamples: int, seed: int) -> Doubles:
    """[resamples] means over the data sets of the resampled measure; equal arguments give equal draws.

    Raises:
        InputError: there is no sample, or their numbers of seeds differ.
    """
    seeds = {len(one.sums) for one in samples}
    if len(seeds) != 1:
        raise InputError(
            f"there must be samples, all of equally many seeds, got those of {sorted(seeds)} seeds"
        )
    count = seeds.pop()
    weights = _draws(resamples, count, (seed,)) / count  # [R, S]
    people: Mapping[tuple[str, int], Doubles] = {
        (one.place, len(one.counts)): _draws(resamples, len(one.counts), (seed, crc32(one.place.encode())))
        for one in samples
    }
    total = np.zeros(resamples)
    for one in samples:
        drawn = people[one.place, len(one.counts)]  # [R, C] how often each identity was drawn
        total += ((drawn @ one.sums.T) * weights).sum(axis=1) / (drawn @ one.counts)
    return total / len(samples)


@lru_cache(maxsize=8)  # a report asks for the same people hundreds of times; MARS takes 5 MB
def _draws(resamples: int, count: int, seed: tuple[int, ...]) -> Doubles:
    rng = np.random.default_rng([*seed, count])
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    draws.setflags(write=False)
    return draws


def _ends(draws: Doubles) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
