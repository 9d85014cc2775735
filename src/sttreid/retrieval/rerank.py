"""Features -> re-ranked distances: k-reciprocal encoding, without ever holding all pairs.

Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017 (arXiv 1701.08398).
Two tracklets are close if they are among each other's nearest neighbours and share such neighbours.

Re-ranking uses the whole gallery and all other queries for each query. Report its results as re-ranked and
compare them with re-ranked results only: re-ranking raises the mAP of the same features by several points and
says nothing about the network. All given rows take part, including those that a protocol excludes for a
query; remove junk before.

Where the paper is silent or the authors' code differs, this module follows the code, which produced the
published results:

- The distance d is the squared Euclidean distance between L2-normalised rows, and each row of the distance
  matrix is divided by its largest value over queries and gallery. The division makes half of it, the cosine
  distance, equivalent. (torchreid squares its input: its result is this one for Euclidean distances.)
- R(q, k1 / 2) joins R(p, k1) if they share more than two thirds of the former; the paper has "at least". Half
  of k1 is rounded to the nearest integer, and from .5 to the even one.
- The encoding of a row sums to 1; in the paper its entries are exp(-d).
- A row is its own first neighbour, in addition to k1 others. Here that also holds if there are copies of the
  row. Among other rows at the same distance, the smaller index is nearer; queries precede the gallery.

L2-normalised rows are rounded to multiples of 2^-25, which changes a distance by about 1e-8. All products and
sums are then exact in double precision: copies of a row tie exactly, and neither the block length nor the
number of threads changes the result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from sttreid.retrieval.features import Doubles, FeatureRows, Features, Singles
from sttreid.retrieval.labels import Integers
from sttreid.runtime.errors import InputError

ROWS: Final = (
    1024  # of a tile of distances: 8 MB, and 17 MB for each of its two blocks of features, if D = 2048
)
PAIRS: Final = 512  # single pairs whose distances are computed at once
GRID: Final = np.float32(2**25)  # steps of 1; double precision holds sums below 4 in steps of 2^-51


def rerank(query_features: Features, gallery_features: Features, k1: int, k2: int, weight: float) -> Singles:
    """Distances of each query to the gallery after re-ranking; the paper uses k1 = 20, k2 = 6, weight = 0.3.

    Memory grows with Q x G and N x D, N = Q + G, but not with N x N; the time does.

    Args:
        query_features: [Q, D] rows of any nonzero norm.
        gallery_features: [G, D].
        k1: neighbours of a row, in addition to itself, that may be reciprocal; fewer if there are fewer rows.
        k2: nearest neighbours, including the row itself, whose encodings are averaged; 1: no averaging.
        weight: of the plain distance, the paper's lambda: 0 is the Jaccard distance alone, 1 the plain
            ranking.

    Returns:
        [Q, G] between 0 and 1, smaller is nearer.

    Raises:
        InputError: features are not two matrices of equal width with at least one row each, a row is not
            finite or all zero, k1 or k2 is below 1, or weight is outside 0 to 1.
    """
    for name, value in (("k1", k1), ("k2", k2)):
        if value < 1:
            raise InputError(f"re-ranking: {name} must be at least 1, got {value}")
    if not 0 <= weight <= 1:
        raise InputError(f"re-ranking: weight must be between 0 and 1, got {weight}")
    rows = _rows(query_features, gallery_features)
    count, queries = len(rows.unit), len(query_features)
    distances = np.empty((queries, count - queries), np.float32)
    neighbours = _search(rows, min(count, max(k1 + 1, k2)), distances)
    encoding = _average(_encode(neighbours, rows, k1), neighbours.index[:, :k2])
    _combine(distances, encoding, neighbours.farthest, weight)
    return distances


@dataclass(frozen=True)
class _Rows:
    """All rows, queries first: unit [N, D] on the grid, half [N] half of their squared lengths."""

    unit: Singles
    half: Doubles

    def tiles(self, queries: int) -> Iterator[tuple[slice, slice, Doubles]]:
        """Half squared Euclidean distances between all pairs of blocks on and above the diagonal.

        They are exact and never negative. Each row meets the others in the order of their index, and no block
        contains both queries and gallery. The memory of a tile is reused for the next one.
        """
        count, width = self.unit.shape
        starts = [*range(0, queries, ROWS), *range(queries, count, ROWS)]
        blocks = [slice(first, end) for first, end in zip(starts, [*starts[1:], count], strict=True)]
        left, right = np.empty((2, min(ROWS, count), width))
        memory = np.empty(len(left) ** 2)
        for number, block in enumerate(blocks):
            a = left[: block.stop - block.start]
            a[:] = self.unit[block]
            for others in blocks[number:]:
                b = right[: others.stop - others.start]
                b[:] = self.unit[others]
                tile = memory[: len(a) * len(b)].reshape(len(a), len(b))
                np.matmul(a, b.T, out=tile)
                np.subtract(self.half[others], tile, out=tile)
                tile += self.half[block, None]
                yield block, others, tile

    def pairs(self, rows: Integers, columns: Integers) -> Doubles:
        """[M] the same for single pairs."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS):
            row, column = rows[start : start + PAIRS], columns[start : start + PAIRS]
            products = np.multiply(self.unit[row], self.unit[column], dtype=np.float64).sum(axis=1)
            out[start : start + PAIRS] = self.half[row] + self.half[column] - products
        return out


def _rows(query_features: Features, gallery_features: Features) -> _Rows:
    """All rows at length 1, rounded to the grid."""
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
    rows, filled = _Rows(np.empty((count, sides[0].width), np.float32), np.empty(count)), 0
    for features in sides:
        for start in range(0, len(features.rows), ROWS):
            block = features.unit64(features.rows[start : start + ROWS])
            # float32 first: above 1/2 it is coarser than the grid, and so holds every multiple that results
            unit = np.rint(block.astype(np.float32) * GRID) / GRID
            part = slice(filled, filled + len(unit))
            rows.unit[part], rows.half[part] = unit, np.square(unit, dtype=np.float64).sum(axis=1) / 2
            filled = part.stop
    return rows


@dataclass(frozen=True)
class _Neighbours:
    """The nearest rows of each row: index [N, K], distance [N, K]; farthest [N]: the largest of all N."""

    index: Integers
    distance: Doubles
    farthest: Doubles


def _search(rows: _Rows, length: int, distances: Singles) -> _Neighbours:
    """Visit every tile once, for its rows and its columns, and write the plain [Q, G] distances."""
    count, queries = len(rows.unit), len(distances)
    nearest = _Neighbours(
        np.zeros((count, length), np.int64), np.full((count, length), np.inf), np.zeros(count, np.float64)
    )
    for block, others, tile in rows.tiles(queries):
        if block.stop <= queries <= others.start:
            distances[block, others.start - queries : others.stop - queries] = tile
        if block == others:
            np.fill_diagonal(tile, -1.0)  # a row is nearer to itself than to its copies
        else:
            _merge(nearest, others, block, tile.T)
        _merge(nearest, block, others, tile)
    np.maximum(nearest.distance, 0.0, out=nearest.distance)
    nearest.farthest[nearest.farthest == 0] = 1.0  # all rows are equal: every distance is 0
    return nearest


def _merge(nearest: _Neighbours, block: slice, others: slice, tile: Doubles) -> None:
    """Merge a tile [block, others] into the neighbours of the block's rows."""
    index, distance = nearest.index[block], nearest.distance[block]
    np.maximum(nearest.farthest[block], tile.max(axis=1), out=nearest.farthest[block])
    count, length = index.shape
    limit = distance[:, -1]
    if np.isinf(limit).any() and tile.shape[1] > length:  # the first tile limits itself
        limit = np.nextafter(np.partition(tile, length - 1, axis=1)[:, length - 1], np.inf)
    # an index that comes later loses a tie, so only what is truly nearer enters
    row, column = np.divmod(np.flatnonzero(tile < limit[:, None]), tile.shape[1])
    owner = np.concatenate([np.repeat(np.arange(count), length), row])
    values = np.concatenate([distance.ravel(), tile[row, column]])
    indices = np.concatenate([index.ravel(), column + others.start])
    order = np.lexsort((values, owner))  # stable: equal values keep their order
    ends = np.cumsum(np.bincount(owner))
    starts = np.concatenate([[0], ends[:-1]])
    chosen = order[starts[:, None] + np.arange(length)]
    distance[:], index[:] = values[chosen], indices[chosen]


def _encode(neighbours: _Neighbours, rows: _Rows, k1: int) -> sparse.csr_array:
    """[N, N] rows that sum to 1: exp(-d) at the expanded reciprocal neighbours."""
    expanded = _expanded(neighbours.index, k1)
    owner = np.repeat(np.arange(expanded.shape[0]), np.diff(expanded.indptr))
    distance = _distances(neighbours, rows, owner, expanded.indices.astype(np.int64))
    weights = np.exp(-distance / neighbours.farthest[owner])
    weights /= np.add.reduceat(weights, expanded.indptr[:-1])[owner]
    return sparse.csr_array((weights, expanded.indices, expanded.indptr), shape=expanded.shape)


def _expanded(index: Integers, k1: int) -> sparse.csr_array:
    """[N, N] entries at the reciprocal neighbours R(p, k1), and at R(q, k1 / 2) of those that agree."""
    reciprocal = _reciprocal(index[:, : k1 + 1])
    half = _reciprocal(index[:, : round(k1 / 2) + 1])
    shared = (reciprocal @ half.T).multiply(reciprocal).tocsr()
    sizes = np.diff(half.indptr)[shared.indices]
    shared.data = (3 * shared.data > 2 * sizes).astype(np.int32)
    shared.eliminate_zeros()
    expanded = (reciprocal + shared @ half).tocsr()
    expanded.sort_indices()
    return expanded


def _reciprocal(index: Integers) -> sparse.csr_array:
    """[N, N] ones where two rows are each other's neighbours."""
    neighbours = _membership(index, np.int32)
    return neighbours.multiply(neighbours.T).tocsr()


def _membership(index: Integers, dtype: type[np.generic]) -> sparse.csr_array:
    """[N, N] ones at the entries of index [N, K]."""
    count, length = index.shape
    columns, ends = index.astype(np.int32).ravel(), np.arange(0, index.size + 1, length)
    return sparse.csr_array((np.ones(index.size, dtype), columns, ends), shape=(count, count))


def _distances(neighbours: _Neighbours, rows: _Rows, row: Integers, column: Integers) -> Doubles:
    """[M] of single pairs: those of neighbours are looked up, others computed."""
    count = len(neighbours.index)
    stored = (np.arange(count)[:, None] * count + neighbours.index).ravel()
    order = np.argsort(stored)
    wanted = row * count + column
    position = order[np.searchsorted(stored, wanted, sorter=order).clip(max=len(stored) - 1)]
    out: Doubles = neighbours.distance.ravel()[position]
    missing = stored[position] != wanted
    out[missing] = rows.pairs(row[missing], column[missing])
    return out


def _average(encoding: sparse.csr_array, index: Integers) -> sparse.csr_array:
    """[N, N] the mean encoding of the neighbours index [N, K]."""
    mean = (_membership(index, np.float64) @ encoding).tocsr()
    mean.data /= index.shape[1]
    mean.sort_indices()
    return mean


def _combine(distances: Singles, encoding: sparse.csr_array, farthest: Doubles, weight: float) -> None:
    """Replace the plain distances [Q, G] by the final ones.

    The Jaccard distance of two rows that sum to 1 needs the sum of their smaller entries only: that of the
    larger ones is 2 minus it. A query's entries meet those of the gallery through the columns.
    """
    queries, gallery = distances.shape
    columns = encoding[queries:].tocsc()
    for query, line in enumerate(distances):
        entries = slice(encoding.indptr[query], encoding.indptr[query + 1])
        terms = encoding.indices[entries]
        starts, counts = columns.indptr[terms], columns.indptr[terms + 1] - columns.indptr[terms]
        position = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        smaller = np.minimum(np.repeat(encoding.data[entries], counts), columns.data[position])
        shared = np.bincount(columns.indices[position], smaller, gallery).clip(max=1.0)
        line[:] = weight * (line / farthest[query]) + (1 - weight) * (1 - shared / (2 - shared))
