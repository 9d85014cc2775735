"""Features -> re-ranked distances: k-reciprocal encoding, without ever holding all pairs.

Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017 (arXiv 1701.08398).
Two tracklets are close if they are among each other's nearest neighbours and share such neighbours.

Re-ranking uses the whole gallery and all other queries for each query. Report its results as re-ranked and
compare them with re-ranked results only: re-ranking raises the mAP of the same features by several points and
says nothing about the network. All given rows take part, including those that a protocol excludes for a
query; remove junk, and what the protocol never ranks, before.

**A query that is also in the gallery counts once.** In the paper the gallery does not hold the query. Public
programs put the queries before the gallery, as rows of their own. Where the gallery holds them too, as that
of MARS does, they count each twice, and its copy takes one of the k1 and of the k2 places of every neighbour:
if all rows are queries, half of the places are lost, and k2 = 2 averages nothing. Here a query that equals a
row of the gallery is that row. Rows are equal if they are so after normalisation; features of one tracklet
that were computed twice may differ in their last bits, and then count twice. Copies inside of the gallery,
and queries that are not in it, are rows of their own, as in the public programs.

Where the paper is silent or the authors' code differs, this module follows the code, which produced the
published results:

- The distance d is the squared Euclidean distance between L2-normalised rows, and each row of the distance
  matrix is divided by its largest value over queries and gallery. The division makes half of it, the cosine
  distance, equivalent. (torchreid squares its input: its result is this one for Euclidean distances.)
- R(q, k1 / 2) joins R(p, k1) if they share more than two thirds of the former; the paper has "at least". Half
  of k1 is rounded to the nearest integer, and from .5 to the even one.
- The encoding of a row sums to 1; in the paper its entries are exp(-d).
- A row is its own first neighbour, in addition to k1 others. Here that also holds if there are copies of the
  row. Among other rows at the same distance, the smaller index is nearer; queries from outside precede the
  gallery.

Distances are exact (:mod:`sttreid.retrieval.exact_rows`), so that neither the block length nor the number of
threads changes the result. Single precision only chooses which pairs need it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from sttreid.retrieval import exact_rows
from sttreid.retrieval.exact_rows import ExactRows, distinct_rows
from sttreid.retrieval.features import Doubles, Features, Singles
from sttreid.retrieval.labels import Integers
from sttreid.runtime.errors import InputError

CROWD: Final = 128  # rows whose distances to all are computed at once: 14 MB at the size of MARS
SPARE: Final = 4  # nearest rows that are kept in addition, because single precision may confuse them
COLUMN_BITS: Final = 22  # of a key, below 31 bits of a value
OWNER_BITS: Final = COLUMN_BITS + 31
EMPTY: Final = 0x7F800000 << COLUMN_BITS  # a key of infinity


def rerank(query_features: Features, gallery_features: Features, k1: int, k2: int, weight: float) -> Singles:
    """Distances of each query to the gallery after re-ranking; the paper uses k1 = 20, k2 = 6, weight = 0.3.

    Memory grows with Q x G and N x D, but not with N x N; the time does. N is G and the queries that are not
    in the gallery.

    Args:
        query_features: [Q, D] rows of any nonzero norm. A query that equals a row of the gallery is that row.
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
    rows, place = distinct_rows(query_features, gallery_features)
    count, order = len(rows.unit), np.argsort(place, kind="stable")  # queries from outside come first
    outside = count - len(gallery_features)
    distances = np.empty((len(place), count - outside), np.float32)
    index, farthest = _search(rows, min(count, max(k1 + 1, k2)), distances[:outside])
    rows.fill(place[order[outside:]], distances[outside:])
    encoding = _average(_encode(index, farthest, rows, k1), index[:, :k2])
    _combine(distances, encoding, farthest, place[order], weight)
    return distances if (order[1:] > order[:-1]).all() else distances[np.argsort(order)]


@dataclass(frozen=True)
class _Lists:
    """The nearest rows of each row, or the farthest: those with the least values 1 - sign x similarity.

    Attributes:
        keys: [N, L], ascending: a value's bits above those of its column.
        sign: 1 for the nearest, -1 for the farthest.
    """

    keys: Integers
    sign: int

    @property
    def values(self) -> Singles:
        """[N, L], infinite where there are fewer."""
        return (self.keys >> COLUMN_BITS).astype(np.int32).view(np.float32)

    @property
    def columns(self) -> Integers:
        """[N, L], 0 where there are fewer."""
        return self.keys & ((1 << COLUMN_BITS) - 1)

    def add(self, block: slice, others: slice, tile: Singles) -> None:
        """Add a tile [block, others], and also as columns [others, block] unless the blocks are the same."""
        self._add(block, others.start, tile, 0)
        if block != others:
            self._add(others, block.start, tile, 1)

    def _add(self, block: slice, first: int, tile: Singles, axis: int) -> None:
        """Add a tile whose axis 0 or 1 are the block's rows; the other begins with the column ``first``."""
        kept = _Lists(self.keys[block], self.sign)
        count, length = kept.keys.shape
        bound = 1 - kept.values[:, -1]
        if axis == 0 and tile.shape[1] > length and np.isinf(bound).any():  # the first tile bounds itself
            place = tile.shape[1] - length if self.sign > 0 else length - 1
            bound = np.maximum(bound, self.sign * np.partition(tile, place, axis=1)[:, place])
        compare = np.greater_equal if self.sign > 0 else np.less_equal
        inside = compare(tile, np.expand_dims(self.sign * bound, 1 - axis))
        places = np.divmod(np.flatnonzero(inside), tile.shape[1])
        values = np.abs(1 - self.sign * tile[places])
        bits = values.view(np.int32).astype(np.int64)  # ordered as the values are
        owner = np.arange(count) << OWNER_BITS
        added = owner[places[axis]] | bits << COLUMN_BITS | places[1 - axis] + first
        keys = np.sort(np.concatenate([(owner[:, None] | kept.keys).ravel(), added]))
        counts = np.bincount(places[axis], minlength=count) + length
        starts = counts.cumsum() - counts
        kept.keys[:] = keys[starts[:, None] + np.arange(length)] & ((1 << OWNER_BITS) - 1)


def _search(rows: ExactRows, length: int, distances: Singles) -> tuple[Integers, Doubles]:
    """The nearest rows of each row [N, K], nearest first, and its largest distance [N].

    Every tile is visited once, for its rows and its columns; the plain [Q, G] distances are written. Single
    precision chooses a few rows more than needed, and exact distances order what rounding could confuse. A
    row where more than these are so close to each other is compared with all others exactly.
    """
    count, doubt = len(rows.unit), 2 * rows.error
    near = _Lists(np.full((count, length + SPARE), EMPTY), 1)
    far = _Lists(np.full((count, 1 + SPARE), EMPTY), -1)
    for block, others, tile in rows.tiles(distances):
        near.add(block, others, tile)
        far.add(block, others, tile)
    values, index = near.values.astype(np.float64), near.columns
    settled = values[:, -1] > values[:, length - 1] + doubt
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        close = np.diff(values, axis=1, append=np.inf) <= doubt
    close[:, 1:] |= close[:, :-1].copy()
    owner, place = np.nonzero(close)
    values[owner, place] = rows.pairs(owner, index[owner, place])
    values[(index == np.arange(count)[:, None]) & (values < np.inf)] = -1.0  # nearer than its copies
    index = np.take_along_axis(index, np.lexsort((index, values))[:, :length], 1)
    values = far.values.astype(np.float64)
    settled &= values[:, -1] > values[:, 0] + doubt
    owner, place = np.nonzero(values <= values[:, :1] + doubt)
    farthest = np.zeros(count)
    np.maximum.at(farthest, owner, rows.pairs(owner, far.columns[owner, place]))
    _settle(rows, np.flatnonzero(~settled), index, farthest)
    farthest[farthest == 0] = 1.0  # all rows are equal: every distance is 0
    return index, farthest


def _settle(rows: ExactRows, unsettled: Integers, index: Integers, farthest: Doubles) -> None:
    """Find the nearest rows and the largest distance of a few rows among exact distances to all."""
    count, doubles, step = len(rows.unit), rows.doubles(), min(CROWD, exact_rows.ROWS)
    for start in range(0, len(unsettled), step):
        some = unsettled[start : start + step]
        tile = np.empty((len(some), count))
        for first in range(0, count, exact_rows.ROWS):
            others = slice(first, min(first + exact_rows.ROWS, count))
            tile[:, others] = rows.exact(some, others, doubles, again=first > 0)
        farthest[some] = tile.max(axis=1)
        tile[np.arange(len(some)), some] = -1.0
        index[some] = tile.argsort(axis=1, kind="stable")[:, : index.shape[1]]


def _encode(index: Integers, farthest: Doubles, rows: ExactRows, k1: int) -> sparse.csr_array:
    """[N, N] rows that sum to 1: exp(-d) at the expanded reciprocal neighbours."""
    expanded = _expanded(index, k1)
    owner = np.repeat(np.arange(expanded.shape[0]), np.diff(expanded.indptr))
    distance, column = np.zeros(len(owner)), expanded.indices.astype(np.int64)
    others = owner != column
    distance[others] = rows.pairs(owner[others], column[others])
    weights = np.exp(-distance / farthest[owner])
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
    kind = np.int32 if index.size < 2**31 else np.int64  # of both: products take longer on the larger type
    columns, ends = index.astype(kind).ravel(), np.arange(0, index.size + 1, length, dtype=kind)
    return sparse.csr_array((np.ones(index.size, dtype), columns, ends), shape=(count, count))


def _average(encoding: sparse.csr_array, index: Integers) -> sparse.csr_array:
    """[N, N] the mean encoding of the neighbours index [N, K]."""
    mean = (_membership(index, np.float64) @ encoding).tocsr()
    mean.data /= index.shape[1]
    mean.sort_indices()
    return mean


def _combine(
    distances: Singles, encoding: sparse.csr_array, farthest: Doubles, place: Integers, weight: float
) -> None:
    """Replace the plain distances [Q, G] of the queries with these places [Q] by the final ones.

    The Jaccard distance of two rows that sum to 1 needs the sum of their smaller entries only: that of the
    larger ones is 2 minus it. A query's entries meet those of the gallery through the columns.
    """
    gallery = distances.shape[1]
    columns = encoding[encoding.shape[0] - gallery :].tocsc()
    lengths = np.diff(columns.indptr)
    for query, line in zip(place.tolist(), distances, strict=True):
        entries = slice(encoding.indptr[query], encoding.indptr[query + 1])
        terms = encoding.indices[entries]
        counts = lengths[terms]
        ends = counts.cumsum()
        position = np.arange(ends[-1]) + np.repeat(columns.indptr[terms] - ends + counts, counts)
        smaller = np.minimum(np.repeat(encoding.data[entries], counts), columns.data[position])
        shared = np.bincount(columns.indices[position], smaller, gallery)
        some = np.flatnonzero(shared > 0)  # of booleans, because finding nonzero numbers takes longer
        shared = shared[some].clip(max=1.0)
        jaccard = np.full(gallery, 1 - weight)
        jaccard[some] *= 1 - shared / (2 - shared)
        plain = line.astype(np.float64)  # first: arithmetic on two types takes longer
        plain /= farthest[query]
        plain *= weight
        line[:] = np.add(plain, jaccard, out=jaccard)
