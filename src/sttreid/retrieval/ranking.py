"""A ranking, reduced to what the metrics need; and how it follows from a given distance matrix.

No full ranking is needed: the rank of a match follows from the number of negatives that are at least as near.
For features, :func:`sttreid.retrieval.streaming.rank_features` needs no distance matrix.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.retrieval.features import Doubles
from sttreid.retrieval.labels import Candidates, Integers
from sttreid.runtime.errors import InputError

QUERIES: Final = 256  # ranked at once: the working copy is QUERIES x G


@dataclass(frozen=True, eq=False)
class Ranking:
    """The ranks of all M matches, and the nearest negative of each of Q queries.

    Attributes:
        match: [M] gallery rows, query by query, nearest first.
        query: [M] the query of each, ascending.
        distance: [M], 1 - cosine similarity, or in the unit of a given matrix.
        above: [M] negatives at the same or a smaller distance: false positives ranked above the match.
        best_wrong: [Q] gallery row of the nearest negative, -1 if there is none.
        best_wrong_distance: [Q], NaN if there is none.
    """

    match: Integers
    query: Integers
    distance: Doubles
    above: Integers
    best_wrong: Integers
    best_wrong_distance: Doubles


def rank_distances(
    distances: NDArray[np.floating], candidates: Candidates, gallery: int, tie: float
) -> Ranking:
    """Rank all matches by given distances.

    Args:
        distances: [Q, G], smaller is nearer; any unit and sign.
        candidates: what the protocol ranks.
        gallery: G.
        tie: distances that differ by no more than this are tied, and the negative ranks first.

    Raises:
        InputError: the shape differs, or a distance to a ranked gallery row is not finite.
    """
    expected = (len(candidates.query_camera), gallery)
    if distances.shape != expected:
        raise InputError(
            f"{expected[0]} queries and {expected[1]} gallery tracklets need {expected} distances, "
            f"got {distances.shape}"
        )
    parts = []
    for start in range(0, len(distances), QUERIES):
        lines = distances[start : start + QUERIES, candidates.rows].astype(np.float64)
        broken = np.argwhere(~np.isfinite(lines))
        if len(broken):
            line, column = broken[0]
            position = f"row {start + line}, column {candidates.rows[column]}"
            raise InputError(f"distances: {position} must be finite, got {lines[line, column]}")
        parts.append(_rank(lines, start, candidates, tie))
    column, distance, above, wrong, wrong_distance = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    owner = candidates.same_query[candidates.is_match]
    wrong[wrong >= 0] = candidates.rows[wrong[wrong >= 0]]
    return Ranking(candidates.rows[column], owner, distance, above, wrong, wrong_distance)


def _rank(
    lines: Doubles, start: int, candidates: Candidates, tie: float
) -> tuple[Integers, Doubles, Integers, Integers, Doubles]:
    """Columns, distances and false positives of the matches of a few queries; nearest negatives.

    ``lines`` [q, R], the distances of the queries from ``start`` on, are overwritten.
    """
    count = len(lines)
    first, last = np.searchsorted(candidates.same_query, [start, start + count])
    owner, column = candidates.same_query[first:last] - start, candidates.same_column[first:last]
    is_match = candidates.is_match[first:last]
    distance = lines[owner, column][is_match]
    lines[owner, column] = np.inf  # only negatives stay finite
    if candidates.excludes_camera:
        camera = candidates.query_camera[start : start + count, None]
        lines[camera == candidates.gallery_camera] = np.inf
    wrong = lines.argmin(axis=1)
    wrong_distance = lines[np.arange(count), wrong]
    wrong[np.isinf(wrong_distance)], wrong_distance[np.isinf(wrong_distance)] = -1, np.nan
    owner, column = owner[is_match], column[is_match]
    order = np.lexsort((column, distance, owner))
    distance = distance[order]
    with np.errstate(over="ignore"):
        limit = np.minimum(distance + tie, np.finfo(np.float64).max)  # infinity lies above it
    ends = np.searchsorted(owner, np.arange(count + 1))
    lines.sort(axis=1)
    above = [line.searchsorted(limit[ends[i] : ends[i + 1]], "right") for i, line in enumerate(lines)]
    return column[order], distance, np.concatenate(above), wrong, wrong_distance
