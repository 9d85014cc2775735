"""Features -> distinct rows of length 1 on a grid, on which products and distances are exact.

L2-normalised rows are rounded to multiples of 2^-25, which changes a distance by about 1e-8. All products and
sums are then exact in double precision: copies of a row tie exactly, and neither the block length nor the
number of threads changes a result. So it can also be told which query is a row of the gallery.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

from sttreid.retrieval.counting import rounding_bound
from sttreid.retrieval.features import CHUNK, Doubles, FeatureRows, Features, Singles
from sttreid.retrieval.labels import Integers
from sttreid.runtime.errors import InputError

ROWS: Final = 1024  # of a tile of distances: 4 MB, and 42 MB while one is computed exactly, if D = 2048
PAIRS: Final = 64  # of one row, at most, whose exact distances are computed at once
ADDED: Final = 4  # roundings of a distance in single precision beside those of its product
GRID: Final = np.float32(2**25)  # steps of 1; double precision holds sums below 4 in steps of 2^-51


@dataclass(frozen=True)
class ExactRows:
    """The queries from outside, then the gallery: unit [N, D] on the grid, half [N] half of their squared
    lengths.
    """

    unit: Singles
    half: Doubles

    @property
    def error(self) -> float:
        """Largest error of a distance in single precision."""
        return rounding_bound(self.unit.shape[1] + ADDED) + 4 * float(np.abs(self.half - 0.5).max())

    def tiles(self, distances: Singles) -> Iterator[tuple[slice, slice, Singles]]:
        """Similarities, 1 minus distances, of all pairs of blocks on and above the diagonal, that first.

        They are off by at most ``error``. Between queries from outside and the gallery the distances are
        exact and also written to ``distances`` [N - G, G]. The memory of a tile is reused for the next one.
        """
        count, queries = len(self.unit), len(distances)
        sides = [
            [slice(first, min(first + ROWS, end)) for first in range(start, end, ROWS)]
            for start, end in ((0, queries), (queries, count))
        ]
        memory, doubles = np.empty(min(ROWS, count) ** 2, np.float32), self.doubles()

        def tile_of(block: slice, others: slice) -> Singles:
            shape = block.stop - block.start, others.stop - others.start
            return memory[: shape[0] * shape[1]].reshape(shape)

        for blocks in sides:
            for step in range(len(blocks)):
                for block, others in zip(blocks, blocks[step:], strict=False):
                    tile = np.matmul(self.unit[block], self.unit[others].T, out=tile_of(block, others))
                    yield block, others, tile
        for block in sides[0]:
            for others in sides[1]:
                exact = self.exact(block, others, doubles, again=others is not sides[1][0])
                distances[block, others.start - queries : others.stop - queries] = exact
                yield block, others, np.subtract(1, exact, out=tile_of(block, others), casting="same_kind")

    def fill(self, rows: Integers, distances: Singles) -> None:
        """Write the exact distances of some rows [n] to the gallery, the last G rows, to [n, G]."""
        if not len(rows):
            return
        count, doubles = len(self.unit), self.doubles()
        first, step = count - distances.shape[1], min(ROWS, count)
        for top in range(0, len(rows), step):
            for start in range(first, count, step):
                others = slice(start, min(start + step, count))
                exact = self.exact(rows[top : top + step], others, doubles, again=start > first)
                distances[top : top + step, start - first : others.stop - first] = exact

    def doubles(self) -> list[Doubles]:
        """Memory in double precision for two blocks of rows and a tile."""
        most, width = min(ROWS, len(self.unit)), self.unit.shape[1]
        return [np.empty(size) for size in (most * width, most * width, most**2)]

    def exact(
        self, rows: slice | Integers, others: slice, doubles: list[Doubles], again: bool = False
    ) -> Doubles:
        """Half squared Euclidean distances of some rows to others, in the memory of :meth:`doubles`.

        It still holds the rows if these are taken ``again``.
        """
        sides = self.unit[rows], self.unit[others]
        shapes = sides[0].shape, sides[1].shape, (len(sides[0]), len(sides[1]))
        left, right, tile = (
            memory[: shape[0] * shape[1]].reshape(shape)
            for memory, shape in zip(doubles, shapes, strict=True)
        )
        if not again:
            left[:] = sides[0]
        right[:] = sides[1]
        np.matmul(left, right.T, out=tile)
        np.subtract(self.half[others], tile, out=tile)
        tile += self.half[rows, None]
        return tile

    def pairs(self, rows: Integers, columns: Integers) -> Doubles:
        """[M] the same for single pairs; each is computed once, whatever its order."""
        count = len(self.unit)
        pairs = np.maximum(rows, columns) * count + np.minimum(rows, columns)
        keys, back = np.unique(pairs, return_inverse=True)
        row, column = np.divmod(keys, count)
        starts = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.arange(len(row)) % PAIRS == 0))
        ends = np.append(starts[1:], len(row))
        order = np.argsort(column[starts], kind="stable")  # rows with common neighbours one after the other
        out = np.empty(len(keys))
        for start, end in zip(starts[order].tolist(), ends[order].tolist(), strict=True):
            left, right = self.unit[row[start]], self.unit[column[start:end]]
            out[start:end] = right.astype(np.float64) @ left.astype(np.float64)
        return (self.half[row] + self.half[column] - out)[back]


def distinct_rows(query_features: Features, gallery_features: Features) -> tuple[ExactRows, Integers]:
    """The distinct rows at length 1, rounded to the grid; and the place of each query [Q] among them."""
    sides = [
        FeatureRows(side, features, np.arange(len(features)))
        for side, features in (("query", query_features), ("gallery", gallery_features))
    ]
    for features in sides:
        if not len(features.rows):
            raise InputError(f"re-ranking: there must be at least 1 {features.side} feature, got 0")
    if sides[0].width != sides[1].width:
        widths = f"{sides[0].width} and {sides[1].width} columns"
        raise InputError(f"query and gallery features must be equally wide, got {widths}")
    count = sum(len(features.rows) for features in sides)
    rows, filled = ExactRows(np.empty((count, sides[0].width), np.float32), np.empty(count)), 0
    memory = np.empty((CHUNK, sides[0].width))
    for features in sides:
        for start in range(0, len(features.rows), CHUNK):
            block = features.unit64(features.rows[start : start + CHUNK], memory)
            # float32 first: above 1/2 it is coarser than the grid, and so holds every multiple that results
            unit = np.rint(block.astype(np.float32) * GRID) / GRID + np.float32(0)  # no negative zero
            part = slice(filled, filled + len(unit))
            block[:] = rows.unit[part] = unit
            rows.half[part] = np.vecdot(block, block) / 2
            filled = part.stop
    queries = len(sides[0].rows)
    same = _in_gallery(rows, queries)
    outside = np.flatnonzero(same < 0)
    first = queries - len(outside)  # rows of queries in the gallery are overwritten, which needs no memory
    for row, query in zip(range(queries - 1, first - 1, -1), outside[::-1].tolist(), strict=True):
        rows.unit[row], rows.half[row] = rows.unit[query], rows.half[query]
    place = same + len(outside)
    place[outside] = np.arange(len(outside))
    return ExactRows(rows.unit[first:], rows.half[first:]), place


def _in_gallery(rows: ExactRows, queries: int) -> Integers:
    """[Q] the gallery's row that equals each query, -1 for none; of copies, each query has another."""
    free: dict[bytes, deque[int]] = {}
    lengths = rows.half[:queries], rows.half[queries:]  # exact, so that equal rows have equal ones
    for number in np.flatnonzero(np.isin(lengths[1], lengths[0])).tolist():
        free.setdefault(_digest(rows.unit[queries + number]), deque()).append(number)
    same = np.full(queries, -1)
    for query in np.flatnonzero(np.isin(*lengths)).tolist():
        if copies := free.get(_digest(rows.unit[query])):
            same[query] = copies[0] if len(copies) == 1 else copies.popleft()
    return same


def _digest(row: Singles) -> bytes:
    """Of the bits: equal for equal rows alone."""
    return blake2b(row.tobytes(), digest_size=16).digest()
