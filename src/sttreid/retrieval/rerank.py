"""Array -> re-ranked distances: k-reciprocal encoding, without ever holding all pairs.

Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017 (arXiv 1701.08398).
Two tracklets are near when they are among each other's nearest neighbours and have such neighbours in common.

Re-ranking looks at the whole gallery, and at the other queries, before it answers a single query. Its
numbers must be called re-ranked wherever they stand and be compared with re-ranked ones only: they lie
several points of mAP above plain ones of the same features and say nothing about a better network. Whatever
is given takes part, also what a protocol later hides from a query; junk must be left out before.

Where the paper is silent or its authors' program does otherwise, the program is followed, because the
published numbers are its own:

- The distance d is the squared Euclidean one between rows of length 1, and each row of it is divided by the
  row's largest value over queries and gallery. Half of it, which the division makes the same, is the cosine
  distance. (torchreid squares what it is given: its result is this one where that is the Euclidean distance.)
- R(q, k1 / 2) joins R(p, k1) when they share more than two thirds of the former; the paper has "at least".
  Half of k1 is rounded to the nearest whole number, and from .5 to the even one.
- The encoding of a row sums to 1; in the paper its entries are exp(-d) as they are.
- A row counts as its own first neighbour, beside k1 others. Here that holds for copies of a row too. Among
  others at the same distance, the smaller index is nearer; queries come before the gallery.

Rows of length 1 are rounded to whole multiples of 2^-25, which moves a distance by about 1e-8. All products
and sums are then exact in double precision: copies of a row tie exactly, and neither the length of a block
nor the number of threads changes a bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from sttreid.retrieval.rows import Array, as_array
from sttreid.runtime.errors import InputError

ROWS = 1024  # of a tile of distances: 8 MB, and 17 MB for each of its two blocks of features, if D = 2048
PAIRS = 512  # of rows whose distance is computed at once outside the tiles
GRID = np.float32(2**25)  # steps of 1; double precision holds sums below 4 in steps of 2^-51

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """All rows, queries first: unit [N, D] float32 on the grid, half [N] half of their squared lengths."""

    unit: NDArray[np.float32]
    half: Doubles

    def tiles(self, queries: int) -> Iterator[tuple[slice, slice, Doubles]]:
        """Half squared Euclidean distances between all pairs of blocks on and above the diagonal.

        They are exact and never negative. Each row meets the others in the order of their index, and no block
        holds both queries and gallery. The memory of a tile is used again for the next one.
        """
        count, width = self.unit.shape
        starts = [*range(0, queries, ROWS), *range(queries, count, ROWS)]
        blocks = [slice(first, end) for first, end in zip(starts, [*starts[1:], count], strict=True)]
        left, right = np.empty((2, min(ROWS, count), width))
        memory = np.empty(len(left) ** 2)
        for number, own in enumerate(blocks):
            a = left[: own.stop - own.start]
            a[:] = self.unit[own]
            for others in blocks[number:]:
                b = right[: others.stop - others.start]
                b[:] = self.unit[others]
                tile = memory[: len(a) * len(b)].reshape(len(a), len(b))
                np.add(self.half[own, None], self.half[others], out=tile)
                torch.from_numpy(tile).addmm_(torch.from_numpy(a), torch.from_numpy(b).t(), alpha=-1.0)
                yield own, others, tile

    def pairs(self, rows: Indices, columns: Indices) -> Doubles:
        """The same for single pairs [M]."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS):
            own, others = rows[start : start + PAIRS], columns[start : start + PAIRS]
            products = np.multiply(self.unit[own], self.unit[others], dtype=np.float64).sum(axis=1)
            out[start : start + PAIRS] = self.half[own] + self.half[others] - products
        return out


@dataclass(frozen=True)
class _Lists:
    """What is nearest to each row: index [N, K], distance [N, K]; farthest [N] is the largest of all N."""

    index: Indices
    distance: Doubles
    farthest: Doubles


def rerank(
    query_features: Array, gallery_features: Array, k1: int, k2: int, weight: float
) -> NDArray[np.float32]:
    """Distances of each query to the gallery after re-ranking; the paper uses k1 = 20, k2 = 6, weight = 0.3.

    Memory grows with Q x G and N x D, N = Q + G, never with N x N; the time does.

    Args:
        query_features: [Q, D] rows of any length.
        gallery_features: [G, D].
        k1: neighbours of a row, besides itself, that may be reciprocal; fewer where there are fewer rows.
        k2: nearest neighbours, the row itself among them, whose encodings are averaged; 1 leaves them alone.
        weight: share of the plain distance, the paper's lambda: 0 is the Jaccard distance alone, 1 the plain
            ranking.

    Returns:
        [Q, G] between 0 and 1, smaller is nearer.

    Raises:
        InputError: features are not two matrices of equal width with at least one row each, a row is not
            finite or all zero, k1 or k2 is below 1, or weight is outside 0 to 1.
    """
    _check(k1, k2, weight)
    rows, queries = _rows(query_features, gallery_features)
    out = np.empty((queries, len(rows.unit) - queries), np.float32)
    lists = _search(rows, min(len(rows.unit), max(k1 + 1, k2)), out)
    encoding = _expand(_encode(lists, rows, k1), lists.index[:, :k2])
    _blend(out, encoding, lists.farthest, weight)
    return out


def _check(k1: int, k2: int, weight: float) -> None:
    for name, value in (("k1", k1), ("k2", k2)):
        if value < 1:
            raise InputError(f"re-ranking: {name} must be at least 1, got {value}")
    if not 0 <= weight <= 1:
        raise InputError(f"re-ranking: weight must be between 0 and 1, got {weight}")


def _rows(query_features: Array, gallery_features: Array) -> tuple[_Rows, int]:
    """All rows at length 1 on the grid, and how many of them are queries."""
    given = {"query": as_array(query_features), "gallery": as_array(gallery_features)}
    for name, features in given.items():
        if features.ndim != 2 or 0 in features.shape:
            rule = "must have two axes, [rows, D], and at least one row"
            raise InputError(f"{name} features {rule}, got the shape {features.shape}")
    widths = [features.shape[1] for features in given.values()]
    if widths[0] != widths[1]:
        raise InputError(f"query and gallery features must be equally wide, got {widths[0]} and {widths[1]}")
    count = sum(len(features) for features in given.values())
    rows, filled = _Rows(np.empty((count, widths[0]), np.float32), np.empty(count)), 0
    for name, features in given.items():
        for start in range(0, len(features), ROWS):
            block = _unit(features[start : start + ROWS], name, start)
            place = slice(filled, filled + len(block))
            rows.unit[place], rows.half[place] = block, np.square(block, dtype=np.float64).sum(axis=1) / 2
            filled = place.stop
    return rows, len(given["query"])


def _unit(features: NDArray[np.floating], name: str, first: int) -> NDArray[np.float32]:
    """[R, D] float32 rows of length 1 on the grid."""
    rows = np.array(features, np.float64, order="C")  # rows are summed alike, however they lie in memory
    largest = np.abs(rows).max(axis=1, keepdims=True)
    for rule, broken in (("finite", ~np.isfinite(largest)), ("more than zeros", largest == 0)):
        if broken.any():
            row = int(np.argmax(broken))
            shown = f"[{', '.join(f'{value:g}' for value in _telling(rows[row]))} ...]"
            raise InputError(f"{name} feature, row {first + row}: must be {rule}, got {shown}")
    rows /= largest  # squares of very large and very small numbers would leave the range
    rows /= np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    # float32 first: it is coarser than the grid above a half, and so holds every multiple that comes out
    steps: NDArray[np.float32] = np.rint(rows.astype(np.float32) * GRID)
    return steps / GRID


def _telling(row: Doubles) -> Doubles:
    """Three numbers of a broken row, from the first that is not finite on."""
    start = int(np.argmax(~np.isfinite(row)))
    return row[start : start + 3]


def _search(rows: _Rows, length: int, out: NDArray[np.float32]) -> _Lists:
    """Look at every tile once, from both sides, and put the plain distances into ``out`` on the way."""
    count, queries = len(rows.unit), len(out)
    lists = _Lists(
        np.zeros((count, length), np.int64), np.full((count, length), np.inf), np.zeros(count, np.float64)
    )
    for own, others, tile in rows.tiles(queries):
        if own.stop <= queries <= others.start:
            out[own, others.start - queries : others.stop - queries] = tile
        if own == others:
            np.fill_diagonal(tile, -1.0)  # a row is nearer to itself than its copies are
        else:
            _look(lists, others, own, tile.T)
        _look(lists, own, others, tile)
    np.maximum(lists.distance, 0.0, out=lists.distance)
    lists.farthest[lists.farthest == 0] = 1.0  # all rows are alike: every distance is 0
    return lists


def _look(lists: _Lists, own: slice, others: slice, tile: Doubles) -> None:
    """Merge a tile [own, others] into the lists of its rows."""
    index, distance = lists.index[own], lists.distance[own]
    np.maximum(lists.farthest[own], tile.max(axis=1), out=lists.farthest[own])
    count, length = index.shape
    limit = distance[:, -1]
    if np.isinf(limit).any() and tile.shape[1] > length:  # the first tile: it bounds itself
        limit = np.nextafter(np.partition(tile, length - 1, axis=1)[:, length - 1], np.inf)
    # an index met later loses a tie, so only what is truly nearer gets in
    row, column = np.divmod(np.flatnonzero(tile < limit[:, None]), tile.shape[1])
    owner = np.concatenate([np.repeat(np.arange(count), length), row])
    values = np.concatenate([distance.ravel(), tile[row, column]])
    indices = np.concatenate([index.ravel(), column + others.start])
    order = np.lexsort((values, owner))  # stable: what came first stays first
    ends = np.cumsum(np.bincount(owner))
    starts = np.concatenate([[0], ends[:-1]])
    chosen = order[starts[:, None] + np.arange(length)]
    distance[:], index[:] = values[chosen], indices[chosen]


def _encode(lists: _Lists, rows: _Rows, k1: int) -> sparse.csr_array:
    """[N, N] rows that sum to 1: exp(-d) at the neighbours that count."""
    joined = _joined(lists.index, k1)
    owner = np.repeat(np.arange(joined.shape[0]), np.diff(joined.indptr))
    distance = _distances(lists, rows, owner, joined.indices.astype(np.int64))
    weights = np.exp(-distance / lists.farthest[owner])
    weights /= np.add.reduceat(weights, joined.indptr[:-1])[owner]
    return sparse.csr_array((weights, joined.indices, joined.indptr), shape=joined.shape)


def _joined(index: Indices, k1: int) -> sparse.csr_array:
    """[N, N] entries at the reciprocal neighbours of each row, and at theirs where they agree with it."""
    near = _reciprocal(index[:, : k1 + 1])
    nearest = _reciprocal(index[:, : round(k1 / 2) + 1])
    shared = (near @ nearest.T).multiply(near).tocsr()
    sizes = np.diff(nearest.indptr)[shared.indices]
    shared.data = (3 * shared.data > 2 * sizes).astype(np.int32)
    shared.eliminate_zeros()
    joined = (near + shared @ nearest).tocsr()
    joined.sort_indices()
    return joined


def _reciprocal(index: Indices) -> sparse.csr_array:
    """[N, N] ones where two rows are in each other's lists."""
    lists = _membership(index, np.int32)
    return lists.multiply(lists.T).tocsr()


def _membership(index: Indices, dtype: type[np.generic]) -> sparse.csr_array:
    """[N, N] ones at the entries of the lists [N, K]."""
    count, length = index.shape
    columns, ends = index.astype(np.int32).ravel(), np.arange(0, index.size + 1, length)
    return sparse.csr_array((np.ones(index.size, dtype), columns, ends), shape=(count, count))


def _distances(lists: _Lists, rows: _Rows, owner: Indices, other: Indices) -> Doubles:
    """Of pairs of rows [M]: looked up in the lists, computed where a list does not have them."""
    count = len(lists.index)
    known = (np.arange(count)[:, None] * count + lists.index).ravel()
    order = np.argsort(known)
    wanted = owner * count + other
    place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    out: Doubles = lists.distance.ravel()[place]
    missing = known[place] != wanted
    out[missing] = rows.pairs(owner[missing], other[missing])
    return out


def _expand(encoding: sparse.csr_array, index: Indices) -> sparse.csr_array:
    """The mean of the encodings of the rows in the lists [N, K]."""
    mean = (_membership(index, np.float64) @ encoding).tocsr()
    mean.data /= index.shape[1]
    mean.sort_indices()
    return mean


def _blend(out: NDArray[np.float32], encoding: sparse.csr_array, farthest: Doubles, weight: float) -> None:
    """Turn the plain distances in ``out`` into the final ones.

    The Jaccard distance of two rows that sum to 1 needs the sum of their smaller entries only: that of the
    larger ones is 2 minus it. A query's entries meet those of the gallery through the columns.
    """
    queries, gallery = out.shape
    columns = encoding[queries:].tocsc()
    for query, line in enumerate(out):
        entries = slice(encoding.indptr[query], encoding.indptr[query + 1])
        terms = encoding.indices[entries]
        starts, counts = columns.indptr[terms], columns.indptr[terms + 1] - columns.indptr[terms]
        place = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        smaller = np.minimum(np.repeat(encoding.data[entries], counts), columns.data[place])
        shared = np.bincount(columns.indices[place], smaller, gallery).clip(max=1.0)
        line[:] = weight * (line / farthest[query]) + (1 - weight) * (1 - shared / (2 - shared))
