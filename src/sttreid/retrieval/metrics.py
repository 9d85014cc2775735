"""Distances -> cumulative matching characteristic, mean average precision and mean inverse negative penalty.

Nothing is ranked in full. What a measure needs is, for the j-th nearest match of a query, the number of wrong
answers that are at least as near; it comes from sorting the wrong answers' distances and looking each match
up.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.errors import InputError
from sttreid.retrieval.protocol import Protocol

ROWS = 256  # queries ranked at once: the working copy is ROWS x G, whatever the number of queries

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Result:
    """One evaluation. Rates are fractions between 0 and 1, means over the queries that count.

    Attributes:
        protocol: name of the protocol.
        rank1: share of the queries with a match at rank 1; rank5, rank10 and rank20: at that rank or before.
            A rank past the end of a small gallery asks about the whole gallery.
        mAP: mean of the average precisions.
        mINP: mean of matches / rank of the last match (Ye et al., 2022, arXiv 2001.04193, section 4.1).
        queries: how many queries count.
        dropped: how many are left out, because nothing in the gallery matches them.
        gallery: how many tracklets the gallery holds before anything is excluded for a query.
        distractors: how many of these belong to people whom no query asks for.
        per_query: one row a query, dropped ones included: query (row of the distances), identity, camera,
            matches, wrong (wrong answers left in the gallery), first_hit (rank of the first match, 0 without
            one), ap and inp (NaN where the query is dropped).
    """

    protocol: str
    rank1: float
    rank5: float
    rank10: float
    rank20: float
    mAP: float  # noqa: N815 - the measure's own name
    mINP: float  # noqa: N815
    queries: int
    dropped: int
    gallery: int
    distractors: int
    per_query: pd.DataFrame = field(repr=False, compare=False)

    def numbers(self) -> dict[str, float | int]:
        """The measures and counts, for a results file."""
        rates = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")
        counts = ("queries", "dropped", "gallery", "distractors")
        return {name: getattr(self, name) for name in (*rates, *counts)}


def evaluate(
    distances: Floats,
    query_identities: Integers,
    query_cameras: Integers,
    gallery_identities: Integers,
    gallery_cameras: Integers,
    protocol: Protocol,
) -> Result:
    """Score every row of a distance matrix.

    Args:
        distances: [Q, G], smaller is more alike; any unit.
        query_identities: [Q].
        query_cameras: [Q].
        gallery_identities: [G].
        gallery_cameras: [G].
        protocol: what is left out, which average precision, and what becomes of queries without a match.

    Raises:
        InputError: shapes disagree, a distance is not finite, or no query has a match.
    """
    _check(distances, query_identities, query_cameras, gallery_identities, gallery_cameras)
    blocks = []
    for start in range(0, len(distances), ROWS):
        rows = slice(start, start + ROWS)
        same = query_identities[rows, None] == gallery_identities
        other_camera = query_cameras[rows, None] != gallery_cameras
        blocks.append(_score(distances[rows], same & other_camera, ~same, protocol))
    table = pd.concat(blocks, ignore_index=True)
    table.insert(0, "query", np.arange(len(distances)))
    table.insert(1, "identity", query_identities)
    table.insert(2, "camera", query_cameras)
    strangers = ~np.isin(gallery_identities, query_identities)
    return _summarise(table, distances.shape[1], int(strangers.sum()), protocol)


def _check(distances: Floats, *labels: Integers) -> None:
    if distances.ndim != 2:
        raise InputError(f"distances must have two axes, [Q, G], got the shape {distances.shape}")
    names = ("query identities", "query cameras", "gallery identities", "gallery cameras")
    for axis, name, values in zip((0, 0, 1, 1), names, labels, strict=True):
        if values.shape != (distances.shape[axis],):
            rule = f"must be {distances.shape[axis]} numbers, as the distances are {distances.shape}"
            raise InputError(f"{name} {rule}, got the shape {values.shape}")
    for start in range(0, len(distances), ROWS):
        broken = np.argwhere(~np.isfinite(distances[start : start + ROWS]))
        if len(broken):
            row, column = broken[0] + (start, 0)
            raise InputError(
                f"distances: row {row}, column {column} must be finite, got {distances[row, column]}"
            )


def _score(distances: Floats, matching: Mask, wrong: Mask, protocol: Protocol) -> pd.DataFrame:
    """One row a query from [R, G] distances and the two masks of what stays in its gallery."""
    matches = matching.sum(axis=1)
    ahead = _wrong_ahead(distances, matching, wrong)
    row = np.repeat(np.arange(len(matches)), matches)
    hit = np.arange(len(row)) - (np.cumsum(matches) - matches)[row] + 1  # 1, 2, ... within each query
    rank = ahead + hit
    precision = hit / rank
    if protocol.average_precision == "trapezoid":
        before = np.where(rank > 1, (hit - 1) / np.maximum(rank - 1, 1), 1.0)  # precision one rank earlier
        precision = (before + precision) / 2
    empty = np.nan if protocol.unmatched == "drop" else 0.0
    some = matches > 0
    last = np.cumsum(matches)[some] - 1
    ap, inp = np.full(len(matches), empty), np.full(len(matches), empty)
    ap[some] = np.bincount(row, weights=precision, minlength=len(matches))[some] / matches[some]
    inp[some] = matches[some] / rank[last]
    first = np.zeros(len(matches), np.int64)
    first[some] = rank[last - matches[some] + 1]
    columns = {"matches": matches, "wrong": wrong.sum(axis=1), "first_hit": first, "ap": ap, "inp": inp}
    return pd.DataFrame(columns)


def _wrong_ahead(distances: Floats, matching: Mask, wrong: Mask) -> Integers:
    """For each match, query by query and nearest first, how many wrong answers are as near or nearer."""
    barrier = np.where(wrong, distances, np.inf)  # infinities sort to the end and are never counted
    barrier.sort(axis=1)
    counts = [np.zeros(0, np.int64)]
    for line, values, chosen in zip(barrier, distances, matching, strict=True):
        counts.append(np.searchsorted(line, np.sort(values[chosen]), side="right"))
    return np.concatenate(counts)


def _summarise(table: pd.DataFrame, gallery: int, distractors: int, protocol: Protocol) -> Result:
    counted = table if protocol.unmatched == "zero" else table[table["matches"] > 0]
    if not (table["matches"] > 0).any():
        raise InputError(f"none of the {len(table)} queries has a match in another camera")
    first = counted["first_hit"].to_numpy()
    rank1, rank5, rank10, rank20 = (float(np.mean((first > 0) & (first <= k))) for k in (1, 5, 10, 20))
    return Result(
        protocol=protocol.name,
        rank1=rank1,
        rank5=rank5,
        rank10=rank10,
        rank20=rank20,
        mAP=float(counted["ap"].mean()),
        mINP=float(counted["inp"].mean()),
        queries=len(counted),
        dropped=len(table) - len(counted),
        gallery=gallery,
        distractors=distractors,
        per_query=table,
    )
