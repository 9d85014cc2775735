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
    """DIR at a rate of false alarms: the mean over data sets, with its interval over identities and seeds.

    Each resample of the identities has a threshold of its own: the largest that raises no more alarms than
    the rate allows.

    Args:
        found: of at least one data set, all with the same number of seeds.
        rate: of false alarms, 0 to 1; with 1 the result is rank-1 of the people who are there.
        resamples: number of bootstrap resamples.
        seed: of the resampling.
    """
    count = len(found[0].stranger)
    weights = draws(resamples, count, seed) / count  # [R, S]
    values, total = [], np.zeros(resamples)
    for each in found:
        drawn = draws(resamples, each.identities, seed, each.dataset)
        values.append(_rates(each, np.ones((1, each.identities)), rate).mean())
        total += (_rates(each, drawn, rate) * weights).sum(axis=1)
    return Interval(float(np.mean(values)), *percentiles(total / len(found)))


def _rates(each: Searches, drawn: Doubles, rate: float) -> Doubles:
    """[R, S] DIR if the identities are drawn so often, [R, C]."""
    weights = drawn[:, each.person]
    total = weights.sum(axis=1)
    allowed = np.floor(rate * total + 1e-9)  # alarms
    columns = []
    for stranger, correct in zip(each.stranger, each.correct, strict=True):
        order = np.argsort(stranger)
        alarms = weights[:, order].cumsum(axis=1) > allowed[:, None]
        limit = np.where(alarms[:, -1], stranger[order][alarms.argmax(axis=1)], np.inf)
        columns.append((weights * (correct < limit[:, None])).sum(axis=1) / total)
    return np.stack(columns, axis=1)
