"""Per-query results -> intervals: what another choice of test people, and of seeds, would have given.

Queries of one person are not independent, so whole identities are drawn with replacement, all their queries
together (a cluster bootstrap); with several seeds these are drawn as well, independently of the identities
(Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007: rows and columns of crossed data are
drawn apart). Two models that were asked the same queries are compared draw by draw, which takes out how hard
the queries are.

With one seed an interval says nothing about training again, and of S seeds the bootstrap sees only
(S - 1) / S of their variance: half with two, four fifths with five. :class:`Difference` says what that costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

RESAMPLES = 1000
LEVEL = 0.95  # of an interval
ENOUGH_SEEDS = 5  # with fewer, and with fewer people, too many differences that are none are told apart
ENOUGH_PEOPLE = 30
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
    """A difference of two models on the same queries.

    Attributes:
        p: two-sided, for the hypothesis of none. It is too small, and the interval too narrow, with few seeds
            or people. Where nothing differs, and the seeds' differences spread far more than the people's,
            the interval leaves out 0 (5 % are meant) in 50 % of all cases with 2 seeds, 25 % with 3, 16 %
            with 5 and 10 % with 10. Seeds that do not differ at all leave 16 % with 5 people, 11 % with 10
            and 7 % with 30 (tests/test_uncertainty.py simulates both).
    """

    p: float

    @property
    def side(self) -> str:
        """``"above"``, ``"below"``, or ``"not told apart"`` where the interval holds 0."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "not told apart"


@dataclass(frozen=True, eq=False)
class Sample:
    """One model on one data set, reduced to what resampling needs.

    Attributes:
        place: name of the data set: all samples of one are resampled alike.
        measure: what the sums are of; samples of unlike measures are never averaged or compared.
        sums: [S, C] of a measure over the queries of each of C identities, with each of S seeds.
        counts: [C] queries of each identity.
        identities: [C] ascending.
    """

    place: str
    measure: str
    sums: Doubles
    counts: Doubles
    identities: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Raises InputError: there is no seed or no identity, or a length is not that of the identities."""
        people = len(self.identities)
        shapes = self.sums.shape[1:], self.counts.shape
        if shapes != ((people,), (people,)) or 0 in self.sums.shape:
            rule = f"sums [S >= 1, C] and counts [C] must be of the {people} identities"
            raise InputError(f"{self.place}: {rule}, got {self.sums.shape} and {self.counts.shape}")

    @property
    def value(self) -> float:
        """The measure: the mean over queries and seeds."""
        return float(self.sums.sum() / self.counts.sum() / len(self.sums))


def sample(place: str, tables: Sequence[pd.DataFrame], measure: str) -> Sample:
    """Reduce per-query tables of one model on one data set, one table a seed.

    Args:
        place: name of the data set.
        tables: with the columns query, identity, first_hit, ap and inp, as in
            :attr:`sttreid.retrieval.result.Result.per_query`; queries that do not count have no ap.
        measure: rank1, rank5, rank10, rank20, mAP or mINP.

    Raises:
        InputError: the measure is unknown, there is no table or no query that counts, a query stands in a
            table twice or its score is not finite, or two tables hold other queries.
    """
    if measure not in {**RANKS, **COLUMNS}:
        raise InputError(f"the measure must be one of {', '.join([*RANKS, *COLUMNS])}, got {measure!r}")
    counted = [table[table["ap"].notna()].sort_values("query") for table in tables]
    if not counted or counted[0].empty:
        raise InputError(f"{place}: there must be at least 1 query that counts, got 0")
    for table in counted:
        _check_table(place, table)
    keys = counted[0][["query", "identity"]].to_numpy()
    for table in counted[1:]:
        if not np.array_equal(table[["query", "identity"]].to_numpy(), keys):
            raise InputError(
                f"{place}: all seeds must have the same {len(keys)} queries, got {len(table)} others"
            )
    identities, cluster = np.unique(keys[:, 1], return_inverse=True)
    sums = [np.bincount(cluster, _values(table, measure), len(identities)) for table in counted]
    return Sample(place, measure, np.array(sums), np.bincount(cluster).astype(float), identities)


def _check_table(place: str, table: pd.DataFrame) -> None:
    """Each query once, with scores that are numbers."""
    if table["query"].duplicated().any():
        query = table["query"][table["query"].duplicated()].iloc[0]
        raise InputError(f"{place}: each query must stand in a table once, got query {query} again")
    broken = table[~np.isfinite(table[[*COLUMNS.values()]].to_numpy(float)).all(axis=1)]
    if len(broken):
        shown = ", ".join(f"{name} {broken[name].iloc[0]}" for name in COLUMNS.values())
        raise InputError(f"{place}: query {broken['query'].iloc[0]}: scores must be finite, got {shown}")


def _values(table: pd.DataFrame, measure: str) -> Doubles:
    if measure in RANKS:
        first = table["first_hit"].to_numpy()
        hits: Doubles = ((first > 0) & (first <= RANKS[measure])).astype(float)
        return hits
    return np.asarray(table[COLUMNS[measure]], float)


def interval(samples: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of a measure over data sets (each counts alike), and its interval.

    Args:
        samples: of one measure; all with the same number of seeds, and those of one data set of the same
            people.
        resamples: how often people and seeds are drawn anew, at least 1.
        seed: of the draws, at least 0.

    Raises:
        InputError: there is no sample, or they do not belong together, or an argument is too small.
    """
    low, high = _ends(resampled(samples, resamples, seed))
    return Interval(float(np.mean([one.value for one in samples])), low, high)


def difference(
    ours: Sequence[Sample], theirs: Sequence[Sample], resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Our mean minus theirs on the same queries, with a paired interval; arguments as :func:`interval`.

    Raises:
        InputError: as :func:`interval`; or the data sets, their queries or the measures differ.
    """
    if len(ours) != len(theirs):
        raise InputError(
            f"a paired comparison needs the same data sets, got {len(ours)} of ours, {len(theirs)} of theirs"
        )
    for one, other in zip(ours, theirs, strict=True):
        _check_pair(one, other)
    draws = resampled(ours, resamples, seed) - resampled(theirs, resamples, seed)
    low, high = _ends(draws)
    tail = (min(int((draws <= 0).sum()), int((draws >= 0).sum())) + 1) / (resamples + 1)
    value = float(np.mean([one.value for one in ours]) - np.mean([one.value for one in theirs]))
    return Difference(value, low, high, min(1.0, 2 * tail))


def _check_pair(one: Sample, other: Sample) -> None:
    """Both must have been asked the same, by the same people, as often."""
    if one.measure != other.measure:
        rule = "a paired comparison needs one measure"
        raise InputError(f"{one.place}: {rule}, got {one.measure} and {other.measure}")
    same = one.place == other.place and np.array_equal(one.identities, other.identities)
    if not same or not np.array_equal(one.counts, other.counts):
        raise InputError(
            f"{one.place}: a paired comparison needs the same queries, got those of {other.place}"
        )
    if len(one.sums) != len(other.sums):
        seeds = f"{len(one.sums)} and {len(other.sums)}"
        raise InputError(f"{one.place}: a paired comparison needs equally many seeds, got {seeds}")


def resampled(samples: Sequence[Sample], resamples: int, seed: int) -> Doubles:
    """[resamples] means over the data sets of the resampled measure; equal arguments give equal draws.

    What is drawn depends on a data set's name and number of people alone, so that two models which were asked
    by the same people are drawn alike, in one call or in two.

    Raises:
        InputError: as :func:`interval`.
    """
    _check_draws(resamples, seed)
    _check_alike(samples)
    count = len(samples[0].sums)
    weights = _draws(resamples, count, (seed,)) / count  # [R, S]
    total = np.zeros(resamples)
    for one in samples:
        # [R, C] how often each identity was drawn
        drawn = _draws(resamples, len(one.counts), (seed, crc32(one.place.encode())))
        total += ((drawn @ one.sums.T) * weights).sum(axis=1) / (drawn @ one.counts)
    return total / len(samples)


def _check_draws(resamples: int, seed: int) -> None:
    for name, value, least in (("resamples", resamples, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")


def _check_alike(samples: Sequence[Sample]) -> None:
    """One measure, one number of seeds, and in one data set the same people."""
    seeds = sorted({len(one.sums) for one in samples})
    if len(seeds) != 1:
        raise InputError(f"there must be samples, all of equally many seeds, got those of {seeds} seeds")
    measures = sorted({one.measure for one in samples})
    if len(measures) != 1:
        raise InputError(f"all samples must be of one measure, got {' and '.join(measures)}")
    first: dict[str, Sample] = {}
    for one in samples:
        known = first.setdefault(one.place, one).identities
        if not np.array_equal(known, one.identities):
            got = f"{len(known)} and {len(one.identities)}, of whom they share"
            shared = len(np.intersect1d(known, one.identities))
            raise InputError(
                f"{one.place}: all samples of a data set must be of the same people, got {got} {shared}"
            )


@lru_cache(maxsize=8)  # a report asks for the same people hundreds of times; MARS takes 5 MB
def _draws(resamples: int, count: int, seed: tuple[int, ...]) -> Doubles:
    rng = np.random.default_rng([*seed, count])
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    draws.setflags(write=False)
    return draws


def _ends(draws: Doubles) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
