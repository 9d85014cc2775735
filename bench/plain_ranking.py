"""The evaluator in its simplest form: all in double precision, a few queries at a time.

It is what the tiles, doubts and two precisions of `sttreid.retrieval` are measured against
(`python -m bench.evaluation`), and the tests compare both, rank by rank.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

QUERIES: Final = 256  # at once
ROWS: Final = 4096  # of the gallery that are read at once
LARGEST: Final = 10**8  # numbers of a gallery that is kept in double precision; a larger one is read again
NOISE: Final = 1e-12  # more than the rounding of a cosine in double precision

Labels = tuple[NDArray[np.integer], NDArray[np.integer]]  # identities and cameras


def ranks(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    query: Labels,
    labels: Labels,
    tie: float,
    *,
    ranked: NDArray[np.bool_] | None = None,
    other_camera: bool = False,
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """The ranks of each query's matches, ascending from 1, and the row of its nearest negative (-1: none).

    Memory: QUERIES x G similarities twice, and the gallery (x D) unless it is too large, 8 bytes each.

    Args:
        queries: [Q, D].
        gallery: [G, D].
        query: identities and cameras [Q].
        labels: the same [G].
        tie: cosines that differ by no more than this are tied, and the negative ranks first.
        ranked: [G] the gallery rows that are ranked; None: all.
        other_camera: the query's camera is excluded altogether.
    """
    rows = np.arange(len(gallery)) if ranked is None else np.flatnonzero(ranked)
    identities, cameras = (column[rows] for column in labels)
    parts = [rows[first : first + ROWS] for first in range(0, len(rows), ROWS)]
    kept = [unit(gallery[part]) for part in parts] if len(rows) * gallery.shape[1] <= LARGEST else None
    for start in range(0, len(queries), QUERIES):
        units = unit(queries[start : start + QUERIES])
        sides = kept or (unit(gallery[part]) for part in parts)
        lines = np.concatenate([units @ side.T for side in sides], axis=1)
        for line, identity, camera in zip(lines, *(column[start:] for column in query), strict=False):
            same, elsewhere = identities == identity, cameras != camera
            matches = np.sort(line[same & elsewhere])[::-1]
            negative = np.flatnonzero(~same & elsewhere if other_camera else ~same)
            values = line[negative]
            above = len(values) - np.sort(values).searchsorted(matches - max(tie, NOISE))
            nearest = rows[negative[(values >= values.max() - NOISE).argmax()]] if len(values) else -1
            yield above + np.arange(1, len(matches) + 1), int(nearest)


def unit(rows: NDArray[np.floating]) -> NDArray[Any]:
    """Rows of length 1 in double precision, scaled before, for the square of an entry may overflow."""
    double = rows.astype(np.float64)
    double /= np.abs(double).max(axis=1, keepdims=True)
    double /= np.linalg.norm(double, axis=1, keepdims=True)
    return double
