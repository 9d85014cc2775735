"""Embeddings -> the nearest rows of a gallery: exact, in bounded memory.

Similarities are computed in single precision, block by block, as the evaluator computes them. What is within
the rounding error of the last place is kept, and double precision decides the order.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.retrieval.counting import rounding_bound
from sttreid.retrieval.features import FeatureRows, Singles, cosines

QUERIES: Final = 256  # queries, and ...
TILE: Final = 4096  # ... gallery tracklets whose similarities are computed at once

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Nearest = tuple[Integers, Integers, Floats]  # query, row and distance of each answer, in order


@dataclass(frozen=True, eq=False)
class Limits:
    """Which gallery rows may answer a query.

    Attributes:
        rows: [Q] the query's own row of the gallery, which never answers; -1 where it has none.
        cameras: [G] numbers of the gallery's cameras.
        excluded: [Q] number of the camera that may not answer either; None: all may.
    """

    rows: Integers
    cameras: Integers
    excluded: Integers | None = None

    def candidates(self) -> Integers:
        """[Q] number of gallery rows that may answer each query."""
        count = np.full(len(self.rows), len(self.cameras))
        if self.excluded is None:
            return count - (self.rows >= 0)
        sizes = np.bincount(self.cameras)
        return count - np.where(self.excluded >= 0, sizes[self.excluded], 0)

    def take(self, queries: Integers) -> "Limits":
        """The limits of these queries, in this order."""
        excluded = None if self.excluded is None else self.excluded[queries]
        return Limits(self.rows[queries], self.cameras, excluded)

    def mask(self, tile: NDArray[np.floating], queries: slice, columns: slice, value: float) -> None:
        """Overwrite what may not answer in the values of a block of queries and columns."""
        rows = self.rows[queries] - columns.start
        lines = np.flatnonzero((rows >= 0) & (rows < columns.stop - columns.start))
        tile[lines, rows[lines]] = value
        if self.excluded is not None:
            tile[self.excluded[queries, None] == self.cameras[None, columns]] = value


def nearest(features: NDArray[np.floating], embeddings: Singles, limits: Limits, k: int) -> Nearest:
    """The k nearest rows of each query by cosine distance; at equal distances the earlier row is first.

    Memory: a block of queries and tracklets, their similarities, and few more candidates than k per query.
    """
    gallery = FeatureRows("gallery", embeddings, np.arange(len(embeddings)))
    queries = FeatureRows("query", features, np.arange(len(features)))
    parts = []
    for start in range(0, len(features), QUERIES):
        block = slice(start, min(start + QUERIES, len(features)))
        owner, column = _candidates(queries, gallery, block, limits, k)
        parts.append(ordered(queries, gallery, owner, column, k))
    owners, columns, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return owners, columns, distances


def pair_distances(queries: FeatureRows, gallery: FeatureRows, owner: Integers, column: Integers) -> Floats:
    """Cosine distances of pairs, 0 to 2: rounding would give some equal embeddings -2e-16."""
    distance: Floats = np.clip(1 - cosines(queries, gallery, owner, column), 0, 2)
    return distance


def ordered(queries: FeatureRows, gallery: FeatureRows, owner: Integers, column: Integers, k: int) -> Nearest:
    """The k nearest candidates of each query; ``owner`` and ``column`` are pairs of a query and a row."""
    distance = pair_distances(queries, gallery, owner, column)
    order = np.lexsort((column, distance, owner))
    owner, column, distance = owner[order], column[order], distance[order]
    kept = _place(owner) < k
    return owner[kept], column[kept], distance[kept]


def _candidates(
    queries: FeatureRows, gallery: FeatureRows, block: slice, limits: Limits, k: int
) -> tuple[Integers, Integers]:
    """Queries of a block and gallery rows, among them the k nearest of each query whatever the rounding."""
    bound = 2 * rounding_bound(queries.width)
    units = queries.unit32(np.arange(block.start, block.stop))
    owner, column = np.zeros(0, np.int64), np.zeros(0, np.int64)
    similarity = np.zeros(0, np.float32)
    least = np.full(len(units), -np.inf)
    for start in range(0, len(gallery.rows), TILE):
        columns = slice(start, min(start + TILE, len(gallery.rows)))
        tile = units @ gallery.unit32(np.arange(columns.start, columns.stop)).T
        limits.mask(tile, block, columns, -np.inf)
        if tile.shape[1] > k:  # a tile by itself limits what can be among the k nearest
            kth = np.partition(tile, -k, axis=1)[:, -k].astype(np.float64)
            least = np.maximum(least, kth - bound)
        line, offset = np.nonzero((tile >= least[:, None]) & (tile > -np.inf))
        owner = np.concatenate([owner, line])
        column = np.concatenate([column, offset + start])
        similarity = np.concatenate([similarity, tile[line, offset]])
        order = np.lexsort((-similarity, owner))
        owner, column, similarity = owner[order], column[order], similarity[order]
        last = np.flatnonzero(_place(owner) == k - 1)
        least[owner[last]] = np.maximum(least[owner[last]], similarity[last] - bound)
        kept = similarity >= least[owner]
        owner, column, similarity = owner[kept], column[kept], similarity[kept]
    return owner + block.start, column


def _place(owner: Integers) -> Integers:
    """The place of each entry among those of its owner, from 0; owners ascend."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return np.arange(len(owner)) - np.repeat(starts, np.diff(starts, append=len(owner)))
