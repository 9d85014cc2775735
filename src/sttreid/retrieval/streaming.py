"""Features -> ranking by cosine similarity: exact, while the gallery streams past in tiles.

Similarities are computed in single precision, tile by tile, and the negatives above each match are counted in
a sorted copy of the tile. A similarity so close to that of a match that rounding could decide is recomputed
in double precision. The result is that of a full matrix in double precision at about the cost of one in
single precision, and does not depend on the number of threads.

Memory: HELD queries (x D), the pairs of the same identity, and for each thread two gallery tiles (TILE x D)
and the similarities of a chunk (QUERIES x TILE). Of the gallery only the labels are held.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from tqdm import tqdm

from sttreid.retrieval.counting import NOISE, Chunk, Counter
from sttreid.retrieval.features import Doubles, FeatureRows, Features, Singles, cosines
from sttreid.retrieval.labels import Candidates, Integers
from sttreid.retrieval.ranking import Ranking
from sttreid.runtime.errors import InputError

if TYPE_CHECKING:
    import torch

QUERIES: Final = 256  # queries, and ...
TILE: Final = 1024  # ... gallery entries whose similarities are computed at once
HELD: Final = 8192  # queries that are held while the gallery streams past; for more it streams again
SLOTS: Final = 2**17  # queries x matches of a chunk, padding included
PAIRS: Final = 256  # queries and entries of an identity whose similarities are computed at once
WIDEST: Final = 4.0  # tie: cosines never differ by more than 2

Product = Callable[[Singles], Singles]  # unit rows of a tile [n, D] -> similarities of a chunk [r, n]

_ONE_CALL = Lock()


def rank_features(
    query_features: Features,
    gallery_features: Features,
    candidates: Candidates,
    tie: float,
    threads: int | None = None,
) -> Ranking:
    """Rank all matches by cosine similarity.

    Args:
        query_features: [Q, D], rows of any nonzero norm. If they are a CUDA tensor, its device computes the
            products of single precision.
        gallery_features: [G, D]; rows that are not ranked are not read.
        candidates: what the protocol ranks.
        tie: similarities that differ by no more than this, or by double-precision rounding, are tied, and the
            negative ranks first.
        threads: at least 1, each with one BLAS thread; None: as many threads as BLAS would use.

    Raises:
        InputError: shapes disagree, or a feature is not finite or all zero.
    """
    queries = FeatureRows("query", query_features, np.arange(len(candidates.query_camera)))
    gallery = FeatureRows("gallery", gallery_features, candidates.rows)
    if queries.width != gallery.width:
        widths = f"{queries.width} and {gallery.width} columns"
        raise InputError(f"query and gallery features must be equally wide, got {widths}")
    counts = candidates.matches
    threads = threads or _blas_threads()
    with _process_settings(queries.device):
        column, owner, similarity = _matches(queries, gallery, candidates)
        above = np.zeros(len(column), np.int64)
        wrong = np.full(len(counts), -1)
        limit = similarity - min(max(tie, NOISE), WIDEST)
        counter = Counter(queries, gallery, candidates)
        by_matches = np.argsort(counts, kind="stable")
        for first in range(0, len(counts), HELD):
            chunks = list(_chunks(by_matches[first : first + HELD], limit, counts, threads))
            _stream(counter, chunks, threads)
            for chunk in chunks:
                used = chunk.match >= 0
                above[chunk.match[used]] = chunk.above[used]
                wrong[chunk.queries] = chunk.best_column
        paired = np.flatnonzero(wrong >= 0)  # queries with a negative
        distance = np.full(len(wrong), np.nan)
        distance[paired] = 1 - cosines(queries, gallery, paired, wrong[paired])
    wrong[paired] = candidates.rows[wrong[paired]]
    return Ranking(candidates.rows[column], owner, 1 - similarity, above, wrong, distance)


def _matches(
    queries: FeatureRows, gallery: FeatureRows, candidates: Candidates
) -> tuple[Integers, Integers, Doubles]:
    """Columns, queries and similarities of all matches: query by query, nearest first."""
    is_match = candidates.is_match
    similarity = _same_identity_similarities(queries, gallery, candidates)[is_match]
    column, owner = candidates.same_column[is_match], candidates.same_query[is_match]
    order = np.lexsort((column, -similarity, owner))
    return column[order], owner, similarity[order]


def _same_identity_similarities(
    queries: FeatureRows, gallery: FeatureRows, candidates: Candidates
) -> Doubles:
    """[K] similarities of all pairs of the same identity in double precision, identity by identity."""
    out = np.empty(len(candidates.same_column))
    start = np.searchsorted(candidates.same_query, np.arange(len(queries.rows) + 1))
    paired = np.flatnonzero(np.diff(start))  # queries with such pairs
    first = candidates.same_column[start[paired]]  # equal for the queries of one identity, and only for them
    order = np.argsort(first, kind="stable")
    for members in np.split(paired[order], np.flatnonzero(np.diff(first[order])) + 1):
        for top in range(0, len(members), PAIRS):
            rows = members[top : top + PAIRS]
            columns = candidates.same_column[start[rows[0]] : start[rows[0] + 1]]
            units = queries.unit64(rows)
            for left in range(0, len(columns), PAIRS):
                block = units @ gallery.unit64(columns[left : left + PAIRS]).T
                out[start[rows, None] + np.arange(left, left + block.shape[1])] = block
    return out


def _chunks(rows: Integers, limits: Doubles, counts: Integers, threads: int) -> Iterator[Chunk]:
    """Queries in chunks: at least as many chunks as threads, if there are as many queries.

    Args:
        rows: the queries, ordered by their number of matches so that little of a chunk is padding.
        limits: [M] of all matches, query by query.
        counts: [Q] matches of each query.
        threads: number of threads that count the chunks.
    """
    start = np.cumsum(counts) - counts
    limits = np.append(limits, np.inf)  # padding, at -1
    most = min(QUERIES, -(-len(rows) // threads))
    while len(rows):
        slots = np.arange(1, len(rows[:most]) + 1) * counts[rows[:most]]
        chunk = rows[: max(1, int(np.searchsorted(slots, SLOTS, side="right")))]
        slot = np.arange(counts[chunk[-1]])
        match = np.where(slot < counts[chunk, None], start[chunk, None] + slot, -1)
        yield Chunk(chunk, match, limits[match])
        rows = rows[len(chunk) :]


def _stream(counter: Counter, chunks: list[Chunk], threads: int) -> None:
    """Count all gallery tiles for the chunks, while the next tiles are read."""
    gallery = counter.gallery
    count = len(gallery.rows)
    tiles = [np.arange(start, min(start + TILE, count)) for start in range(0, count, TILE)]
    products = [_product(counter.queries, chunk.queries) for chunk in chunks]
    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=len(tiles), desc="rank", unit="tile", disable=None, leave=False) as bar,
    ):
        ahead = deque(pool.submit(gallery.unit32, columns) for columns in tiles[:threads])
        for columns, later in zip_longest(tiles, tiles[threads:]):
            units = ahead.popleft().result()
            if later is not None:
                ahead.append(pool.submit(gallery.unit32, later))
            tasks = [
                pool.submit(_count, counter, chunk, product, units, columns)
                for chunk, product in zip(chunks, products, strict=True)
            ]
            for task in tasks:
                task.result()
            bar.update()


def _count(counter: Counter, chunk: Chunk, product: Product, units: Singles, columns: Integers) -> None:
    counter.count(chunk, product(units), columns)


def _product(queries: FeatureRows, rows: Integers) -> Product:
    """The product of these queries with a tile: by NumPy's BLAS, or on the queries' CUDA device."""
    units = queries.unit32(rows)
    device = queries.device
    if device is None:
        return lambda tile: units @ tile.T
    import torch

    left = torch.from_numpy(units).to(device)

    def product(tile: Singles) -> Singles:
        similarities: Singles = (left @ torch.from_numpy(tile).to(device).T).cpu().numpy()
        return similarities

    return product


def _blas_threads() -> int:
    """The largest number of threads of the BLAS libraries that are loaded."""
    libraries = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    return max(libraries, default=1)


@contextmanager
def _process_settings(device: "torch.device | None") -> Iterator[None]:
    """One BLAS thread per thread, and float32 products without TensorFloat-32 on CUDA.

    Both are process-wide settings, so concurrent calls run one at a time: otherwise each would restore what
    the other has set.
    """
    with _ONE_CALL, threadpool_limits(1, user_api="blas"):
        if device is None:
            yield
            return
        import torch

        matmul = torch.backends.cuda.matmul
        before = matmul.fp32_precision
        matmul.fp32_precision = "ieee"
        try:
            yield
        finally:
            matmul.fp32_precision = before
