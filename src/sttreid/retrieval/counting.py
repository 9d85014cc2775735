"""A tile of similarities -> the negatives above each match, and the nearest negative of each query.

A similarity in single precision is off by at most :func:`rounding_bound`. What is farther than that from the
limit of a match is counted in the sorted rows of the tile. What is closer is a doubt, and double precision
decides it: pair by pair, or for the whole tile if doubts are many.
"""

from typing import Final

import numpy as np

from sttreid.retrieval.features import Doubles, FeatureRows, Singles, cosines
from sttreid.retrieval.labels import Candidates, Integers

CROWDED: Final = 32  # a tile with more than one doubt per so many entries is computed again as a whole
LINES: Final = 256  # matches with doubts whose rows of the tile are copied at once
ROUNDING: Final = 2.0**-24  # of single precision, relative
NOISE: Final = 1e-12  # more than the rounding of a similarity in double precision, up to D = 4,000 at least


def rounding_bound(width: int) -> float:
    """Largest error of a single-precision similarity of two L2-normalised rows of ``width`` D.

    Each of the D products and sums may be off by one rounding, in any order of summation (Higham, "Accuracy
    and Stability of Numerical Algorithms", 2002, section 3.1), and each row by one. Rounding errors of equal
    rows are systematic and come close to this bound, so no smaller one is safe.
    """
    return ROUNDING * (width + 4) * (1 + width * ROUNDING)


class Counter:
    """The counts so far. Threads may count different queries at the same time.

    Attributes:
        above: [M] negatives above each match.
        best: [Q] the similarity of the nearest negative, -inf before there is one.
        best_column: [Q] its column, the first among equals; -1 before there is one.
    """

    def __init__(
        self, queries: FeatureRows, gallery: FeatureRows, candidates: Candidates, limit: Doubles
    ) -> None:
        """A negative of at least the similarity ``limit`` [M] is above the match; ordered by query."""
        self.queries, self.gallery, self.candidates, self.limit = queries, gallery, candidates, limit
        self._ends = np.append(0, candidates.matches.cumsum())
        self.above = np.zeros(len(limit), np.int64)
        self.best = np.full(len(queries.rows), -np.inf)
        self.best_column = np.full(len(queries.rows), -1)

    def count(self, chunk: Integers, columns: Integers, tile: Singles, spare: Singles) -> None:
        """Count the similarities [r, n] of consecutive queries and gallery columns, tile by tile in order.

        ``tile`` is of single precision; it and the memory ``spare`` [r, n] are overwritten.
        """
        ends = self._ends[chunk[0] : chunk[-1] + 2]
        limit, bound = self.limit[ends[0] : ends[-1]], rounding_bound(self.queries.width)
        self._mask(tile, chunk, columns)
        np.copyto(spare, tile)
        spare.sort(axis=1)
        window = np.stack([limit - bound, limit + bound]).astype(np.float32)
        below = _count_below(spare, window, ends)
        doubts, highest = below[1] - below[0], spare[:, -1]
        rival = (np.maximum(highest - 2 * bound, self.best[chunk] - bound) - ROUNDING).astype(np.float32)
        lines = np.flatnonzero((highest >= rival) & (highest > -np.inf))  # may have a nearer negative
        line, offset = np.nonzero(tile[lines] >= rival[lines, None])
        if (doubts.sum() + len(line)) * CROWDED > tile.size:
            exact = self.queries.unit64(chunk) @ self.gallery.unit64(columns).T
            self._mask(exact, chunk, columns)
            doubts[:], below[1] = 0, _count_below(np.sort(exact, axis=1), limit, ends)
            exact = exact[lines]
            first = (exact >= exact.max(axis=1, keepdims=True) - NOISE).argmax(axis=1)
            line, offset = np.arange(len(lines)), first
        self._keep_nearest(chunk[lines[line]], columns[offset])
        self.above[ends[0] : ends[-1]] += len(columns) - below[1]
        self._count_doubts(chunk, columns, tile, window, np.flatnonzero(doubts))

    def _mask(self, tile: Singles | Doubles, chunk: Integers, columns: Integers) -> None:
        """Overwrite with -inf what is not a negative: the same identity, and the camera if it is excluded."""
        of = self.candidates
        first, last = np.searchsorted(of.same_query, [chunk[0], chunk[-1] + 1])
        line, offset = of.same_query[first:last] - chunk[0], of.same_column[first:last] - columns[0]
        inside = (offset >= 0) & (offset < len(columns))
        tile[line[inside], offset[inside]] = -np.inf
        if of.excludes_camera:
            tile[of.query_camera[chunk, None] == of.gallery_camera[columns]] = -np.inf

    def _count_doubts(
        self, chunk: Integers, columns: Integers, tile: Singles, window: Singles, doubtful: Integers
    ) -> None:
        """Count the negatives above the ``doubtful`` matches within their ``window`` [2, m]."""
        first = self._ends[chunk[0]]
        line = np.searchsorted(self._ends, first + doubtful, side="right") - 1 - chunk[0]
        for start in range(0, len(doubtful), LINES):
            some, rows = doubtful[start : start + LINES], line[start : start + LINES]
            values, (low, high) = tile[rows], window[:, some, None]
            index, offset = np.nonzero((values >= low) & (values < high))
            match = some[index] + first
            similarity = cosines(self.queries, self.gallery, chunk[rows[index]], columns[offset])
            np.add.at(self.above, match, similarity >= self.limit[match])

    def _keep_nearest(self, query: Integers, column: Integers) -> None:
        """Keep the nearest of these negatives, ordered by query; among equally near ones, the first."""
        similarity = cosines(self.queries, self.gallery, query, column)
        start = np.flatnonzero(np.diff(query, prepend=-1))
        top = np.maximum.reduceat(similarity, start)
        near = np.flatnonzero(similarity >= np.repeat(top, np.diff(start, append=len(query))) - NOISE)
        first = near[np.flatnonzero(np.diff(query[near], prepend=-1))]
        kept = first[top > self.best[query[start]] + NOISE]
        self.best[query[kept]], self.best_column[query[kept]] = similarity[kept], column[kept]


def _count_below(ordered: Singles | Doubles, values: Singles | Doubles, ends: Integers) -> Integers:
    """[..., m] how many of a row of ``ordered`` [r, n] are below each of its ``values`` [..., m].

    The values of a row are those from one of its ``ends`` [r + 1] to the next, counted from the first.
    """
    counts = np.empty(values.shape, np.int64)
    edges = (ends - ends[0]).tolist()
    for row, first, last in zip(ordered, edges, edges[1:], strict=False):
        counts[..., first:last] = row.searchsorted(values[..., first:last])
    return counts
