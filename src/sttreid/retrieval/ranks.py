"""Embeddings -> for every match, how many wrong answers rank before it; the gallery streams past in blocks.

Nothing is ranked in full. A match's rank follows from the number of wrong answers that are at least as near,
so the similarities of the matches come first, and then the gallery is read once, in tiles of one fixed size
(:mod:`sttreid.retrieval.tiles`). The outcome is that of a full matrix in double precision at the cost of one
in single precision, and depends neither on the block length, nor on threads or processor.

Memory: O(Q x matches of a query + block x D), whatever the size of the gallery.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from sttreid.errors import InputError
from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.rows import Array, Doubles, Rows, cosines
from sttreid.retrieval.tiles import Count, Counter, Group, product, room

ASKING = 1024  # queries, and ...
TILE = 1024  # ... answers whose similarities are computed at once
HELD = 8  # groups of ASKING queries that are held while the gallery passes; for more it passes again
LINES = 256  # rows in double precision at once


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
        tie: similarities that differ by no more than this are a tie, and the wrong answer ranks first.
        block: answers that are held at once, in whole tiles, at least one; None: one tile a thread.
        device: where the products are computed.

    Raises:
        InputError: shapes disagree, or a feature is not finite or all zero.
    """
    queries = Rows("query", query_features, np.arange(len(pairs.query_camera)))
    answers = Rows("gallery", gallery_features, pairs.answers)
    if queries.width != answers.width:
        widths = f"{queries.width} and {answers.width} columns"
        raise InputError(f"query and gallery features must be equally wide, got {widths}")
    with _full_precision(), threadpool_limits(1, user_api="blas"):  # the threads are ours, one tile each
        place, owner, similarity = _matches(queries, answers, pairs)
        groups = list(_groups(similarity - tie, pairs.matches, queries.width))
        counter = Counter(queries, answers, pairs)
        ahead, wrong = np.zeros(len(place), np.int64), np.full(len(pairs.query_camera), -1)
        for first in range(0, len(groups), HELD):
            held = groups[first : first + HELD]
            for group, count in zip(held, _stream(counter, held, block, device), strict=True):
                ahead[group.match[group.match >= 0]] = count.ahead[group.match >= 0]
                wrong[group.queries] = np.where(np.isneginf(count.best), -1, count.best_place)
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
    """[K] of every query and its kin, in double precision; queries of one identity have the same kin."""
    out = np.empty(len(pairs.kin))
    start = np.searchsorted(pairs.kin_query, np.arange(len(queries.numbers) + 1))
    asking = np.flatnonzero(np.diff(start))
    first = pairs.kin[start[asking]]  # no two identities share it
    asking = asking[np.argsort(first, kind="stable")]
    for rows in np.split(asking, np.flatnonzero(np.diff(np.sort(first))) + 1):
        kin = pairs.kin[start[rows[0]] : start[rows[0] + 1]] if len(rows) else rows
        for top in range(0, len(rows), LINES):
            some = rows[top : top + LINES]
            one, length = queries.doubles(some)
            for left in range(0, len(kin), LINES):
                other, other_length = answers.doubles(kin[left : left + LINES])
                block = (one @ other.T) / (length[:, None] * other_length)
                out[start[some, None] + np.arange(left, left + block.shape[1])] = block
    return out


def _groups(limits: Doubles, counts: Integers, width: int) -> Iterator[Group]:
    """Queries in groups, ordered by their number of matches so that little of [r, P] is padding.

    Args:
        limits: [M] of all matches, query by query.
        counts: [Q] matches of each query.
        width: D.
    """
    start = np.cumsum(counts) - counts
    order = np.argsort(counts, kind="stable")
    for first in range(0, len(order), ASKING):
        rows = order[first : first + ASKING]
        slots = np.arange(counts[rows[-1]])
        match = np.where(slots < counts[rows, None], start[rows, None] + slots, -1)
        limit = np.where(match >= 0, np.append(limits, np.inf)[match], np.inf)
        edges = np.concatenate([limit - room(width), limit + room(width)], axis=1)
        yield Group(rows, match, limit, torch.from_numpy(edges).float())


def _stream(counter: Counter, groups: list[Group], block: int | None, device: torch.device) -> list[Count]:
    """Let the answers pass by some groups; the sum of all tiles' counts, one a group."""
    asking = [torch.from_numpy(counter.queries.units(group.queries)).to(device) for group in groups]
    totals = [
        Count(
            np.zeros(group.match.shape, np.int64),
            np.full(len(group.queries), -np.inf, np.float32),
            np.full(len(group.queries), -1),
        )
        for group in groups
    ]

    def count_tile(start: int) -> list[Count]:
        places = np.arange(start, min(start + TILE, len(counter.answers.numbers)))
        there = torch.from_numpy(counter.answers.units(places)).to(device)
        return [
            counter.count(product(here, there), group, places)
            for here, group in zip(asking, groups, strict=True)
        ]

    threads = torch.get_num_threads() if device.type == "cpu" else 1
    window = 4 * threads if block is None else max(1, block // TILE)  # more than run: nobody waits
    starts = range(0, len(counter.answers.numbers), TILE)
    with ThreadPoolExecutor(min(threads, window)) as pool:
        for first in tqdm(
            range(0, len(starts), window), desc="rank", unit="block", disable=None, leave=False
        ):
            for counts in pool.map(count_tile, starts[first : first + window]):
                for total, count in zip(totals, counts, strict=True):
                    _add(total, count)
    return totals


def _add(total: Count, count: Count) -> None:
    """Add a tile; the tiles come in order, so that of equally near wrong answers the first is kept."""
    total.ahead[:] += count.ahead
    better = count.best > total.best
    total.best[better], total.best_place[better] = count.best[better], count.best_place[better]


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in true single precision, even where the program allows TensorFloat-32 or bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
