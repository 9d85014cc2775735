"""A tile of similarities -> the negatives above each match, and the nearest negative of each query.

A similarity in single precision is off by at most :func:`rounding_bound`. From a sorted row of the tile
follow the number of negatives that are certainly above a match and the number that are too close to decide:
doubts. Double precision decides doubts, pair by pair if they are few and for the whole row if they are many.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sttreid.retrieval.features import Doubles, FeatureRows, Singles, cosines
from sttreid.retrieval.labels import Candidates, Integers, Mask

CROWDED: Final = 32  # a row with more than one doubt per so many entries is computed again as a whole
LINES: Final = 256  # doubtful (query, match) slots whose rows of the tile are copied at once
ROUNDING: Final = 2.0**-24  # of single precision, relative
NOISE: Final = 1e-12  # more than the rounding of a similarity in double precision, up to D = 4,000 at least


def rounding_bound(width: int) -> float:
    """Largest error of a single-precision similarity of two L2-normalised rows of ``width`` D.

    Each of the D products and sums may be off by one rounding, in any order of summation (Higham, "Accuracy
    and Stability of Numerical Algorithms", 2002, section 3.1), and each row by one. Rounding errors of equal
    rows are systematic and come close to this bound, so no smaller one is safe.
    """
    return ROUNDING * (width + 4) * (1 + width * ROUNDING)


@dataclass(eq=False)
class Chunk:
    """Some queries with similar numbers of matches, and their counts so far.

    Attributes:
        queries: [r].
        match: [r, P] index into the list of all matches, -1 (padding) where a query has fewer than P.
        limit: [r, P] a negative of at least this similarity is above the match; +inf for padding.
        above: [r, P] negatives above the match.
        best: [r] the highest similarity of a negative, -inf before there is one.
        best_column: [r] its column, the first among equals; -1 before there is one.
    """

    queries: Integers
    match: Integers
    limit: Doubles
    above: Integers = field(init=False)
    best: Doubles = field(init=False)
    best_column: Integers = field(init=False)

    def __post_init__(self) -> None:
        self.above = np.zeros(self.match.shape, np.int64)
        self.best = np.full(len(self.queries), -np.inf)
        self.best_column = np.full(len(self.queries), -1)


class Counter:
    """Counts tiles for chunks; several threads may share it, each with a different chunk."""

    def __init__(self, queries: FeatureRows, gallery: FeatureRows, candidates: Candidates) -> None:
        self.queries, self.gallery, self.candidates = queries, gallery, candidates
        order = np.argsort(candidates.same_column, kind="stable")
        self._same_column, self._same_query = candidates.same_column[order], candidates.same_query[order]

    def count(self, chunk: Chunk, tile: Singles, columns: Integers) -> None:
        """Count a tile; tiles must come in the order of their columns.

        Args:
            chunk: r queries; its counts are updated.
            tile: [r, n] their similarities in single precision to consecutive gallery columns; overwritten.
            columns: [n].
        """
        bound = rounding_bound(self.queries.width)
        self._mask(tile, chunk.queries, columns)
        ordered = np.sort(tile, axis=1)
        low, high = (np.asarray(edge, np.float32) for edge in (chunk.limit - bound, chunk.limit + bound))
        highest = ordered[:, -1]
        rival = (np.maximum(highest - 2 * bound, chunk.best - bound) - ROUNDING).astype(np.float32)
        below = _count_below(ordered, np.concatenate([low, high, rival[:, None]], axis=1))
        below_low, below_high = np.split(below[:, :-1], 2, axis=1)
        doubts = below_high - below_low
        rivals = np.where(np.isneginf(highest), 0, len(columns) - below[:, -1])  # may be the nearest negative
        crowded = np.maximum(doubts.sum(axis=1), rivals) * CROWDED > len(columns)
        chunk.above[~crowded] += (len(columns) - below_high)[~crowded]
        doubts[crowded] = 0
        self._count_doubts(chunk, tile, columns, low, high, doubts > 0)
        self._choose(chunk, tile, columns, rival, np.flatnonzero((rivals > 0) & ~crowded))
        if crowded.any():
            self._count_rows(chunk, columns, np.flatnonzero(crowded))

    def _mask(self, tile: Singles | Doubles, queries: Integers, columns: Integers) -> None:
        """Overwrite with -inf what is not a negative: the same identity, and the camera if it is excluded."""
        line = np.full(len(self.queries.rows), -1)
        line[queries] = np.arange(len(queries))
        first, last = np.searchsorted(self._same_column, [columns[0], columns[-1] + 1])
        lines, offsets = line[self._same_query[first:last]], self._same_column[first:last] - columns[0]
        tile[lines[lines >= 0], offsets[lines >= 0]] = -np.inf
        if self.candidates.excludes_camera:
            camera = self.candidates.query_camera[queries, None]
            tile[camera == self.candidates.gallery_camera[columns]] = -np.inf

    def _count_doubts(
        self, chunk: Chunk, tile: Singles, columns: Integers, low: Singles, high: Singles, doubtful: Mask
    ) -> None:
        """Add the negatives that double precision puts above matches with doubts, ``doubtful`` [r, P]."""
        lines, slots = np.nonzero(doubtful)
        for first in range(0, len(lines), LINES):
            line, slot = lines[first : first + LINES], slots[first : first + LINES]
            values = tile[line]
            index, offset = np.nonzero((values >= low[line, slot, None]) & (values < high[line, slot, None]))
            line, slot = line[index], slot[index]
            similarity = cosines(self.queries, self.gallery, chunk.queries[line], columns[offset])
            is_above = similarity >= chunk.limit[line, slot]
            np.add.at(chunk.above, (line[is_above], slot[is_above]), 1)

    def _choose(
        self, chunk: Chunk, tile: Singles, columns: Integers, rival: Singles, lines: Integers
    ) -> None:
        """Update the nearest negatives of ``lines`` by the similarities of their rivals."""
        index, offset = np.nonzero(tile[lines] >= rival[lines, None])
        similarity = cosines(self.queries, self.gallery, chunk.queries[lines[index]], columns[offset])
        top = np.full(len(lines), -np.inf)
        np.maximum.at(top, index, similarity)
        nearest = np.flatnonzero(similarity >= top[index] - NOISE)
        nearest = nearest[np.flatnonzero(np.diff(index[nearest], prepend=-1))]  # the first of each row
        _keep_best(chunk, lines, top, columns[offset[nearest]])

    def _count_rows(self, chunk: Chunk, columns: Integers, lines: Integers) -> None:
        """Count whole rows in double precision."""
        tile = self.queries.unit64(chunk.queries[lines]) @ self.gallery.unit64(columns).T
        self._mask(tile, chunk.queries[lines], columns)
        top = tile.max(axis=1)
        column = columns[(tile >= top[:, None] - NOISE).argmax(axis=1)]  # the first
        _keep_best(chunk, lines, top, column)
        chunk.above[lines] += len(columns) - _count_below(np.sort(tile, axis=1), chunk.limit[lines])


def _keep_best(chunk: Chunk, lines: Integers, similarity: Doubles, column: Integers) -> None:
    """Keep a nearer negative; among equally near ones, the first."""
    better = similarity > chunk.best[lines] + NOISE
    chunk.best[lines[better]], chunk.best_column[lines[better]] = similarity[better], column[better]


def _count_below(ordered: Singles | Doubles, values: Singles | Doubles) -> Integers:
    """[r, m] how many of a row of ``ordered`` [r, n] are below each of a row of ``values`` [r, m]."""
    counts = np.empty(values.shape, np.int64)
    for line, row in enumerate(ordered):
        counts[line] = row.searchsorted(values[line])
    return counts
