"""Per-query results -> how many people are found while few strangers raise an alarm.

Detection and identification rate, DIR, and false alarm rate, FAR: Phillips, Grother and Micheals, "Evaluation
Methods in Face Recognition", Handbook of Face Recognition, 2005. A stranger's query is a false alarm if any
answer is nearer than a threshold. A query of a person who is there counts if its first answer is correct and
nearer than the threshold. :mod:`sttreid.retrieval.open_set` says who is a stranger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.analysis.uncertainty import RESAMPLES, Doubles, Interval, draws, percentiles
from sttreid.runtime.errors import InputError

RATES: Final = (0.01, 0.05, 0.10)  # of false alarms
ALL: Final = 1.0  # every stranger may raise an alarm: what is left is rank-1 of the people who are there
COLUMNS: Final = ["stranger_distance", "there_distance", "there_correct"]


@dataclass(frozen=True, eq=False)
class Searches:
    """One model on one data set: every query as a stranger's, and as that of a person who is there.

    Attributes:
        dataset: its name; all searches of one data set are resampled alike.
        identities: C.
        person: [Q] number of each query's identity, 0 to C - 1.
        stranger: [S, Q] distance of the nearest answer to a stranger, for each of S seeds.
        correct: [S, Q] distance of the first answer if it is correct, otherwise inf.
    """

    dataset: str
    identities: int
    person: NDArray[np.int64]
    stranger: Doubles
    correct: Doubles


def searches(dataset: str, tables: Sequence[pd.DataFrame]) -> Searches | None:
    """The searches of per-query tables, one for each seed; None if they hold none.

    Raises:
        InputError: two tables hold different queries.
    """
    if not tables or any(not set(COLUMNS) <= set(table) for table in tables):
        return None
    counting = [table[table["stranger_distance"].notna()].sort_values("query") for table in tables]
    if counting[0].empty:
        return None
    keys = counting[0][["query", "identity"]].to_numpy()
    for table in counting:
        if not np.array_equal(table[["query", "identity"]].to_numpy(), keys):
            rule = f"all seeds must have the same {len(keys)} queries of strangers"
            raise InputError(f"{dataset}: {rule}, got {len(table)} different ones")
    identities, person = np.unique(keys[:, 1], return_inverse=True)
    stranger, there, is_correct = (np.array([table[name] for table in counting]) for name in COLUMNS)
    return Searches(dataset, len(identities), person, stranger, np.where(is_correct, there, np.inf))


def detection(found: Sequence[Searches], rate: float, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """DIR at one rate; arguments as of :func:`detections`."""
    (interval,) = detections(found, [rate], resamples, seed)
    return interval


def detections(
    found: Sequence[Searches], rates: Sequence[float], resamples: int = RESAMPLES, seed: int = 0
) -> list[Interval]:
    """DIR at rates of false alarms: means over data sets, with their intervals over identities and seeds.

    Each resample of the identities has a threshold of its own: the largest that raises no more alarms than
    the rate allows.

    Args:
        found: of at least one data set, all with the same number of seeds.
        rates: of false alarms, 0 to 1; with 1 the result is rank-1 of the people who are there.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
    """
    count = len(found[0].stranger)
    weights = draws(resamples, count, seed) / count  # [R, S]
    values, totals = [], np.zeros((len(rates), resamples))
    for each in found:
        drawn = draws(resamples, each.identities, seed, each.dataset)
        values.append([once.mean() for once in _rates(each, np.ones((1, each.identities)), rates)])
        for total, resampled in zip(totals, _rates(each, drawn, rates), strict=True):
            total += (resampled * weights).sum(axis=1)
    is_of_one = any(each.identities == 1 for each in found)  # who says nothing about others
    return [
        Interval(float(np.mean(means)), *((0.0, 1.0) if is_of_one else percentiles(total / len(found))))
        for means, total in zip(zip(*values, strict=True), totals, strict=True)
    ]


def _rates(each: Searches, drawn: Doubles, rates: Sequence[float]) -> list[Doubles]:
    """[R, S] DIR at each rate if the identities are drawn so often, [R, C]."""
    weights = np.ascontiguousarray(drawn.T)  # [C, R]: sums over queries are then of whole rows
    columns: list[list[Doubles]] = [[] for _ in rates]
    for stranger, correct in zip(each.stranger, each.correct, strict=True):
        limits, alarms = _running(stranger, each.person, weights)
        answers, hits = _running(correct, each.person, weights)
        total = alarms[-1]
        for column, rate in zip(columns, rates, strict=True):
            allowed = np.floor(rate * total + 1e-9)
            # the first alarm too many is at the limit; without one, there is no limit
            limit = np.append(limits, np.inf)[(alarms[1:] <= allowed).sum(axis=0)]
            nearer = np.searchsorted(answers, limit)[None]
            column.append(np.take_along_axis(hits, nearer, axis=0)[0] / total)
    return [np.stack(column, axis=1) for column in columns]


def _running(distances: Doubles, person: NDArray[np.int64], weights: Doubles) -> tuple[Doubles, Doubles]:
    """[Q] distances in order, and [1 + Q, R] the weight of the nearest 0, 1, ..., Q queries."""
    order = np.argsort(distances)
    sums = np.zeros((1 + len(order), weights.shape[1]))
    weights[person[order]].cumsum(axis=0, out=sums[1:])
    return distances[order], sums
