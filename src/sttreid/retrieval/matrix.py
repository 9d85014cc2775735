"""A matrix of distances -> ranks: for distances that are no cosines of one feature a tracklet.

Re-ranked distances, for example, or those of histograms. Where features are at hand,
:func:`sttreid.retrieval.ranks.rank` needs no matrix.
"""

import numpy as np
from numpy.typing import NDArray

from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.ranks import Ranks
from sttreid.retrieval.rows import Doubles
from sttreid.runtime.errors import InputError

LINES = 256  # queries ranked at once: the working copy is LINES x G, whatever the number of queries

Floats = NDArray[np.floating]


def rank_matrix(distances: Floats, pairs: Pairs, gallery: int, tie: float) -> Ranks:
    """Rank all matches by given distances.

    Args:
        distances: [Q, G], smaller is nearer; any unit and sign.
        pairs: who may be matched with whom.
        gallery: G.
        tie: distances that differ by no more than this are a tie, and the wrong answer ranks first.

    Raises:
        InputError: the shape is another, or a distance to a row that answers is not finite.
    """
    expected = (len(pairs.query_camera), gallery)
    if distances.shape != expected:
        raise InputError(
            f"{expected[0]} queries and {expected[1]} gallery tracklets need {expected} distances, "
            f"got {distances.shape}"
        )
    counts = pairs.matches
    parts = []
    for start in range(0, len(distances), LINES):
        rows = distances[start : start + LINES, pairs.answers].astype(np.float64)
        _check(rows, start, pairs.answers)
        parts.append(_rank(rows, pairs, start, counts, tie))
    match, distance, ahead, wrong, wrong_distance = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    owner = np.repeat(np.arange(len(counts)), counts)
    wrong[wrong >= 0] = pairs.answers[wrong[wrong >= 0]]
    return Ranks(pairs.answers[match], owner, distance, ahead, wrong, wrong_distance)


def _check(rows: Doubles, start: int, answers: Integers) -> None:
    """Columns that answer nobody are not looked at, as features that do not answer are not."""
    broken = np.argwhere(~np.isfinite(rows))
    if len(broken):
        row, place = broken[0]
        raise InputError(
            f"distances: row {start + row}, column {answers[place]} must be finite, got {rows[row, place]}"
        )


def _rank(
    rows: Doubles, pairs: Pairs, start: int, counts: Integers, tie: float
) -> tuple[Integers, Doubles, Integers, Integers, Doubles]:
    """Matches (places), their distances and ranks, and the nearest wrong answers, of a few queries."""
    first, last = np.searchsorted(pairs.kin_query, [start, start + len(rows)])
    line, place = pairs.kin_query[first:last] - start, pairs.kin[first:last]
    matching = pairs.matching[first:last]
    own = rows[line, place][matching]
    rows[line, place] = np.inf
    if pairs.same_camera:
        rows[pairs.query_camera[start : start + len(rows), None] == pairs.answer_camera] = np.inf
    wrong = rows.argmin(axis=1)
    distance = rows[np.arange(len(rows)), wrong]
    wrong[np.isinf(distance)], distance[np.isinf(distance)] = -1, np.nan
    rows.sort(axis=1)
    order = np.lexsort((place[matching], own, line[matching]))
    own, counted = own[order], counts[start : start + len(rows)]
    with np.errstate(over="ignore"):
        limit = np.minimum(own + tie, np.finfo(np.float64).max)  # what does not answer stays beyond it
    ends = np.cumsum(counted)
    near = [
        np.searchsorted(row, limit[end - n : end], "right")
        for row, end, n in zip(rows, ends, counted, strict=True)
    ]
    return place[matching][order], own, np.concatenate(near), wrong, distance
