"""Features -> ranking by cosine similarity: exact, while the gallery streams past in tiles.

Similarities are computed in single precision, and double precision decides what rounding could. The result is
that of a full matrix in double precision, for less than the cost of one, and does not depend on the number of
threads.

Memory: HELD queries (x D), the pairs of one identity, and for each thread a gallery tile (TILE x D), read
ahead, and twice the similarities of a chunk (QUERIES x TILE). Of the gallery, labels and norms are held.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from sttreid.retrieval.counting import NOISE, Counter
from sttreid.retrieval.features import Doubles, FeatureRows, Features, Singles, as_array
from sttreid.retrieval.labels import Candidates, Integers
from sttreid.retrieval.ranking import Ranking
from sttreid.runtime.errors import InputError

if TYPE_CHECKING:
    import torch

QUERIES: Final = 1024  # queries, and ...
TILE: Final = 1024  # ... gallery entries whose similarities are computed at once
HELD: Final = 8192  # queries that are held while the gallery streams past; for more it streams again
PAIRS: Final = 256  # queries and entries of an identity whose similarities are computed at once
WIDEST: Final = 4.0  # tie: cosines never differ by more than 2

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
    with _process_settings(queries.device) as blas_threads:
        column, owner, similarity = _matches(queries, gallery, candidates)
        counter = Counter(queries, gallery, candidates, similarity - min(max(tie, NOISE), WIDEST))
        for held in _parts(queries.rows, HELD):
            _stream(counter, held, threads or blas_threads)
    wrong = np.where(counter.best_column < 0, -1, candidates.rows[counter.best_column])
    distance = np.where(wrong < 0, np.nan, 1 - counter.best)
    return Ranking(candidates.rows[column], owner, 1 - similarity, counter.above, wrong, distance)


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
        for rows in _parts(members, PAIRS):
            columns = candidates.same_column[start[rows[0]] : start[rows[0] + 1]]
            units = queries.unit64(rows)
            for left in range(0, len(columns), PAIRS):
                block = units @ gallery.unit64(columns[left : left + PAIRS]).T
                out[start[rows, None] + np.arange(left, left + block.shape[1])] = block
    return out


def _stream(counter: Counter, held: Integers, threads: int) -> None:
    """Count all gallery tiles for the held queries, while the next tiles are read."""
    queries, gallery = counter.queries, counter.gallery
    count = threads * -(-len(held) // (threads * QUERIES))  # equally many for each thread
    chunks = np.array_split(held, min(count, len(held)))
    left = [_placed(queries.unit32(chunk), queries.device) for chunk in chunks]
    tiles = _parts(np.arange(len(gallery.rows)), TILE)
    memory = [np.empty((2, len(chunks[0]) * len(tiles[0])), np.float32) for _ in range(threads)]

    def read(columns: Integers) -> Any:
        return _placed(gallery.unit32(columns), queries.device)

    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(read, columns) for columns in tiles[:threads])
        for number, columns in enumerate(tqdm(tiles, "rank", unit="tile", disable=None, leave=False)):
            right = ahead.popleft().result().T
            ahead.extend(pool.submit(read, later) for later in tiles[number + threads :][:1])
            count_tile = partial(_count, counter, memory, columns, right)
            list(pool.map(count_tile, chunks, left))  # raises their errors


def _parts(rows: Integers, most: int) -> list[Integers]:
    """At most so many rows in each."""
    return [rows[start : start + most] for start in range(0, len(rows), most)]


def _count(
    counter: Counter, memory: list[Singles], columns: Integers, right: Any, chunk: Integers, left: Any
) -> None:
    """Count one tile, in memory that the threads share: fresh memory costs up to a tenth of the product."""
    space, shape = memory.pop(), (len(chunk), len(columns))
    tile, spare = (part[: shape[0] * shape[1]].reshape(shape) for part in space)
    if counter.queries.device is None:
        np.matmul(left, right, out=tile)
    else:
        tile[:] = as_array(left @ right)
    counter.count(chunk, columns, tile, spare)
    memory.append(space)


def _placed(rows: Singles, device: "torch.device | None") -> Any:
    """The rows where products with them are computed: here, or as a tensor on the queries' CUDA device."""
    if device is None:
        return rows
    import torch

    return torch.from_numpy(rows).to(device)


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries loaded so far, with NumPy's; to find them takes longer than a small evaluation."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def _process_settings(device: "torch.device | None") -> Iterator[int]:
    """One BLAS thread per thread, and float32 products without TensorFloat-32 on CUDA; yields BLAS's threads.

    Both are process-wide settings, so concurrent calls run one at a time: otherwise each would restore what
    the other has set.
    """
    with _ONE_CALL, ExitStack() as restored:
        threads = max((library["num_threads"] for library in _blas().info()), default=1)
        restored.enter_context(_blas().limit(limits=1))
        if device is not None:
            import torch

            matmul = torch.backends.cuda.matmul
            restored.callback(setattr, matmul, "fp32_precision", matmul.fp32_precision)
            matmul.fp32_precision = "ieee"
        yield threads
