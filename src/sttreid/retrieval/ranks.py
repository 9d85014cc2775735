"""Embeddings -> for every match, how many wrong answers rank before it; the gallery streams past in blocks.

Nothing is ranked in full. A match's rank follows from the number of wrong answers that are at least as near,
so the similarities of the matches come first, and then the gallery passes, in tiles of one fixed size
(:mod:`sttreid.retrieval.tiles`). The outcome is that of a full matrix in double precision at the cost of one
in single precision; the block length and the number of threads change no bit.

Memory, in numbers: a tile of answers for each thread (TILE x D), up to HELD x ASKING queries (x D), and all
pairs of a query and the tracklets of its identity; of the gallery only its labels.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.rows import Array, Doubles, Rows, cosines
from sttreid.retrieval.tiles import NOISE, Count, Counter, Group, nothing, product, room
from sttreid.runtime.errors import InputError

ASKING = 1024  # queries, and ...
TILE = 1024  # ... answers whose similarities are computed at once
HELD = 8  # groups of ASKING queries that are held while the gallery passes; for more it passes again
LINES = 256  # queries, and kin, whose similarities are computed at once in double precision
ROOMY = 2**17  # queries x matches of a group, padding included

WIDEST = 4.0  # tie: cosines are never farther apart than 2

_TURN = Lock()


@dataclass(frozen=True, eq=False)
class Ranks:
    """What ranking found out. Rows of the gallery are those of the table that was given.

    Attributes:
        match: [M] rows of the gallery, query by query, nearest first.
        match_query: [M] the query of each, ascending.
        match_distance: [M], 1 - cosine similarity, or whatever the caller's distances are.
        ahead: [M] wrong answers that are as near or nearer.
        best_wrong: [Q] row of the gallery of the nearest wrong answer, -1 where there is none.
        best_wrong_distance: [Q], NaN where there is none.
    """

    match: Integers
    match_query: Integers
    match_distance: Doubles
    ahead: Integers
    best_wrong: Integers
    best_wrong_distance: Doubles


def rank(
    query_features: Array,
    gallery_features: Array,
    pairs: Pairs,
    tie: float,
    block: int | None,
    device: torch.device,
) -> Ranks:
    """Rank all matches by cosine similarity.

    Args:
        query_features: [Q, D], rows of any length but 0.
        gallery_features: [G, D]; rows that do not answer are not read.
        pairs: who may be matched with whom.
        tie: similarities that differ by no more than this, or by rounding of double precision, are a tie, and
            the wrong answer ranks first.
        block: answers that are held at most, in whole tiles, at least one and at most one a thread; None: one
            a thread.
        device: where the products are computed.

    Raises:
        InputError: shapes disagree, or a feature is not finite or all zero.
    """
    queries = Rows("query", query_features, np.arange(len(pairs.query_camera)))
    answers = Rows("gallery", gallery_features, pairs.answers)
    if queries.width != answers.width:
        widths = f"{queries.width} and {answers.width} columns"
        raise InputError(f"query and gallery features must be equally wide, got {widths}")
    with _alone(device):
        place, owner, similarity = _matches(queries, answers, pairs)
        groups = list(_groups(similarity - min(max(tie, NOISE), WIDEST), pairs.matches, queries.width))
        counter = Counter(queries, answers, pairs)
        ahead, wrong = np.zeros(len(place), np.int64), np.full(len(pairs.query_camera), -1)
        for first in range(0, len(groups), HELD):
            held = groups[first : first + HELD]
            for group, count in zip(held, _stream(counter, held, block, device), strict=True):
                ahead[group.match[group.match >= 0]] = count.ahead[group.match >= 0]
                wrong[group.queries] = count.best_place
        some = np.flatnonzero(wrong >= 0)
        distance = np.full(len(wrong), np.nan)
        distance[some] = 1 - cosines(queries, answers, some, wrong[some])
    wrong[some] = pairs.answers[wrong[some]]
    return Ranks(pairs.answers[place], owner, 1 - similarity, ahead, wrong, distance)


def _matches(queries: Rows, answers: Rows, pairs: Pairs) -> tuple[Integers, Integers, Doubles]:
    """All matches' places, their queries and similarities: query by query, nearest first."""
    similarity = _kin_similarities(queries, answers, pairs)[pairs.matching]
    place, owner = pairs.kin[pairs.matching], pairs.kin_query[pairs.matching]
    order = np.lexsort((place, -similarity, owner))
    return place[order], owner, similarity[order]


def _kin_similarities(queries: Rows, answers: Rows, pairs: Pairs) -> Doubles:
    """[K] of every query and its kin, in double precision; each row is converted once, or nearly so."""
    out = np.empty(len(pairs.kin))
    start = np.searchsorted(pairs.kin_query, np.arange(len(queries.numbers) + 1))
    for blocks in _together(_blocks(pairs, start)):
        one = queries.directions(np.concatenate([asking for asking, _ in blocks]))
        other = answers.directions(np.concatenate([pairs.kin[start[a[0]] + run] for a, run in blocks]))
        above = left = 0
        for asking, run in blocks:
            below, right = above + len(asking), left + len(run)
            out[start[asking, None] + run] = one[above:below] @ other[left:right].T
            above, left = below, right
    return out


Block = tuple[Integers, Integers]  # queries of one identity; a run of its kin, counted from the first of them


def _blocks(pairs: Pairs, start: Integers) -> Iterator[Block]:
    """Blocks that hold each query and each of its kin once; queries of one identity have the same kin."""
    asking = np.flatnonzero(np.diff(start))
    first = pairs.kin[start[asking]]  # no two identities share it
    order = np.argsort(first, kind="stable")
    for rows in np.split(asking[order], np.flatnonzero(np.diff(first[order])) + 1):
        for top in range(0, len(rows), LINES):
            for left in range(0, kin := start[rows[0] + 1] - start[rows[0]], LINES):
                yield rows[top : top + LINES], np.arange(left, min(left + LINES, kin))


def _together(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    """Blocks in lists of about 2 x LINES rows: reading a few rows takes as long as reading many."""
    some: list[Block] = []
    for block in blocks:
        some.append(block)
        if sum(len(side) for sides in some for side in sides) >= 2 * LINES:
            yield some
            some = []
    if some:
        yield some


def _groups(limits: Doubles, counts: Integers, width: int) -> Iterator[Group]:
    """Queries in groups, ordered by their number of matches so that little of [r, P] is padding.

    Args:
        limits: [M] of all matches, query by query.
        counts: [Q] matches of each query.
        width: D.
    """
    start = np.cumsum(counts) - counts
    order = np.argsort(counts, kind="stable")
    first = 0
    while first < len(order):
        size = _size(counts[order[first : first + ASKING]])
        rows = order[first : first + size]
        slots = np.arange(counts[rows[-1]])
        match = np.where(slots < counts[rows, None], start[rows, None] + slots, -1)
        limit = np.where(match >= 0, np.append(limits, np.inf)[match], np.inf)
        edges = np.concatenate([limit - room(width), limit + room(width)], axis=1)
        yield Group(rows, match, limit, torch.from_numpy(edges).float())
        first += size


def _size(counts: Integers) -> int:
    """How many of some queries, ascending in their number of matches, fit a group of ROOMY places."""
    places = np.arange(1, len(counts) + 1) * counts
    return max(1, int(np.searchsorted(places, ROOMY, side="right")))


def _stream(counter: Counter, groups: list[Group], block: int | None, device: torch.device) -> list[Count]:
    """Let the answers pass by some groups; the sum of all tiles' counts, one a group."""
    asking = [torch.from_numpy(counter.queries.units(group.queries)).to(device) for group in groups]
    totals = [nothing(group) for group in groups]

    def count_tile(start: int) -> list[Count]:
        places = np.arange(start, min(start + TILE, len(counter.answers.numbers)))
        there = torch.from_numpy(counter.answers.units(places)).to(device)
        return [
            counter.count(product(here, there), group, places)
            for here, group in zip(asking, groups, strict=True)
        ]

    threads = torch.get_num_threads() if device.type == "cpu" else 1
    window = threads if block is None else min(threads, max(1, block // TILE))
    starts = range(0, len(counter.answers.numbers), TILE)
    bar = tqdm(total=len(starts), desc="rank", unit="tile", disable=None, leave=False)
    with ThreadPoolExecutor(window) as pool, bar:
        for counts in _in_order(pool, count_tile, starts, window):
            for group, total, count in zip(groups, totals, counts, strict=True):
                counter.add(total, count, group)
            bar.update()
    return totals


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[int], list[Count]], starts: range, window: int
) -> Iterator[list[Count]]:
    """The outcomes for all starts, in order; at most ``window`` + 1 are in work or wait to be fetched."""
    waiting: deque[Future[list[Count]]] = deque()
    for start in starts:
        if len(waiting) > window:  # one more than can run: nobody is idle while an outcome is fetched
            yield waiting.popleft().result()
        waiting.append(pool.submit(work, start))
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _alone(device: torch.device) -> Iterator[None]:
    """Hold what belongs to the whole process: one BLAS thread a thread, and true single precision on CUDA.

    Two calls at once take turns; otherwise each would put back what the other had set.
    """
    with _TURN, threadpool_limits(1, user_api="blas"):
        if device.type != "cuda":  # products are NumPy's there
            yield
            return
        matmul = torch.backends.cuda.matmul
        before = matmul.fp32_precision
        matmul.fp32_precision = "ieee"  # no TensorFloat-32
        try:
            yield
        finally:
            matmul.fp32_precision = before
