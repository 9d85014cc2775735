"""Strangers: what a search finds for people who are not in the gallery.

The people of the queries with a match are split by lot into two halves. Each half in turn is removed from the
gallery, with all its tracklets: its queries are then those of strangers, and the queries of the other half
are those of people who are there. So every query is once each, and the lot is the same for all models.
Distractors stay in the gallery.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from sttreid.retrieval.labels import Integers
from sttreid.retrieval.result import Result

SEED: Final = 0  # of the lot
DISTANCES: Final = ["best_match_distance", "best_wrong_distance"]


def with_strangers(result: Result, without: Callable[[Integers], Result]) -> Result:
    """Add three columns to the per-query table; all other numbers stay as they are.

    Args:
        result: with the whole gallery.
        without: the same evaluation with a gallery from which identities are removed.

    Returns:
        The result; its table now has stranger_distance (of the nearest answer if the query's half of the
        people is removed, inf if there is no answer), there_distance (of the nearest answer if the other half
        is removed) and there_correct (whether that is a match, never if a negative is as near). Distances are
        NaN for queries without a match, and for all queries if fewer than two people have one.
    """
    table = result.per_query
    matched = table["matches"] > 0
    stranger = pd.Series(np.nan, table.index)
    there, correct = stranger.copy(), pd.Series(False, table.index)
    both = halves(table["identity"][matched].to_numpy())
    for half, rest in (both, both[::-1]):
        if len(half) and len(rest):
            found = without(half).per_query
            nearest = found[DISTANCES].min(axis=1)
            absent, present = (matched & table["identity"].isin(people) for people in (half, rest))
            stranger[absent] = nearest[absent].fillna(np.inf)
            there[present], correct[present] = nearest[present], found["first_hit"][present] == 1
    columns = {"stranger_distance": stranger, "there_distance": there, "there_correct": correct}
    return replace(result, per_query=table.assign(**columns))


def halves(identities: Integers) -> tuple[Integers, Integers]:
    """Two halves of the people, by lot: the smaller one first."""
    people = np.random.default_rng(SEED).permutation(np.unique(identities))
    return people[: len(people) // 2], people[len(people) // 2 :]
