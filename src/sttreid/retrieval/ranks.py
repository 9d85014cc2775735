"""Embeddings -> for every match, how many wrong answers rank before it; the gallery streams past in blocks.

Nothing is ranked in full. A match's rank follows from the number of wrong answers that are at least as near,
so the similarities of the matches come first, and then the gallery is read once: similarities to all of it
are computed in single precision, in tiles of one fixed size; a tile's rows are sorted, and the matches looked
up. Single precision cannot decide what lies within its own rounding error of a match: those few pairs are
computed again in double precision. The outcome is that of a full matrix in double precision at the cost of
one in single precision, and depends neither on the block length nor on the processor.

Memory: O(Q x matches of a query + block x D), whatever the size of the gallery.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sttreid.errors import InputError
from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.rows import Array, Doubles, Rows, Singles, cosines

ASKING = 1024  # queries, and ...
TILE = 2048  # ... answers whose similarities are computed at once; a block is whole tiles
CROWDED = 32  # a row with more than one doubtful answer in so many is computed again as a whole
LINES = 256  # such rows at once
ROUNDING = 2.0**-24  # of single precision, relative


@dataclass(frozen=True, eq=False)
class Ranks:
    """What ranking found out. Rows of the gallery are those of the table that was given.

    Attributes:
        match: [M] rows of the gallery, query by query, nearest first (at equal distance the smaller row).
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


@dataclass(frozen=True, eq=False)
class _Group:
    """Up to ASKING queries with about as many matches each, and the state of their ranking.

    Attributes:
        queries: [r].
        limit: float64 [r, P]: a wrong answer of at least this similarity ranks before the match; +inf where a
            query has fewer than P matches.
        limits: float32 [r, 2 P]: P values below which an answer is farther than the match, whatever the
            rounding, then P values from which on it is nearer.
        ahead: int64 [r, P], counted so far.
        best: float32 [r], the highest similarity of a wrong answer so far.
        best_place: int64 [r], its place among the answers, -1 before there is one.
    """

    queries: Integers
    limit: Doubles
    limits: Tensor
    ahead: Integers
    best: Singles
    best_place: Integers


def rank(
    query_features: Array, gallery_features: Array, pairs: Pairs, tie: float, block: int, device: torch.device
) -> Ranks:
    """Rank all matches by cosine similarity.

    Args:
        query_features: [Q, D], rows of any length but 0.
        gallery_features: [G, D]; rows that do not answer are not read.
        pairs: who may be matched with whom.
        tie: similarities that differ by no more than this are a tie, and the wrong answer ranks first.
        block: answers that are held at once, rounded up to whole tiles.
        device: where the products are computed.

    Raises:
        InputError: shapes disagree, or a feature is not finite or all zero.
    """
    queries = Rows("query", query_features, np.arange(len(pairs.query_camera)))
    answers = Rows("gallery", gallery_features, pairs.answers)
    if queries.width != answers.width:
        widths = f"{queries.width} and {answers.width} columns"
        raise InputError(f"query and gallery features must be equally wide, got {widths}")
    place, owner, similarity = _matches(queries, answers, pairs)
    band = 4 * ROUNDING * (2 + queries.width**0.5)  # rounding of a scalar product of rows of length 1
    groups = list(_groups(similarity, pairs.matches, tie, band))
    work = _Work(queries, answers, pairs)
    with _full_precision():
        work.stream(groups, -(-block // TILE) * TILE, device)
    counts = pairs.matches
    ahead, wrong = np.zeros(len(place), np.int64), np.full(len(counts), -1)
    start = np.cumsum(counts) - counts
    for group in groups:
        rows, columns = np.nonzero(np.isfinite(group.limit))
        ahead[start[group.queries[rows]] + columns] = group.ahead[rows, columns]
        wrong[group.queries] = group.best_place
    some = np.flatnonzero(wrong >= 0)
    distance = np.full(len(counts), np.nan)
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


def _groups(similarity: Doubles, counts: Integers, tie: float, band: float) -> Iterator[_Group]:
    """Queries in tiles, ordered by their number of matches so that little of [r, P] is padding."""
    start = np.cumsum(counts) - counts
    order = np.argsort(counts, kind="stable")
    for first in range(0, len(order), ASKING):
        rows = order[first : first + ASKING]
        slots = np.arange(counts[rows[-1]])
        filled = slots < counts[rows, None]
        limit = np.full(filled.shape, np.inf)
        limit[filled] = similarity[(start[rows, None] + slots)[filled]] - tie
        limits = torch.from_numpy(np.concatenate([limit - band, limit + band], axis=1)).float()
        best, place = np.full(len(rows), -np.inf, np.float32), np.full(len(rows), -1)
        yield _Group(rows, limit, limits, np.zeros(limit.shape, np.int64), best, place)


class _Work:
    """One pass over the gallery: what does not change from tile to tile."""

    def __init__(self, queries: Rows, answers: Rows, pairs: Pairs) -> None:
        self.queries, self.answers, self.pairs = queries, answers, pairs
        order = np.argsort(pairs.kin, kind="stable")
        self.kin, self.kin_query = pairs.kin[order], pairs.kin_query[order]
        self.line = np.full(len(pairs.query_camera), -1)

    def stream(self, groups: list[_Group], block: int, device: torch.device) -> None:
        """Read the gallery once and bring all groups' counts up to date."""
        count, width = len(self.pairs.answers), self.queries.width
        held = np.empty((min(block, count), width), np.float32)
        asking = np.empty((min(ASKING, len(self.line)), width), np.float32)
        for start in tqdm(range(0, count, block), desc="rank", unit="block", disable=None, leave=False):
            places = np.arange(start, min(start + block, count))
            self.answers.units(places, held)
            there = torch.from_numpy(held[: len(places)]).to(device)
            for group in groups:
                self.queries.units(group.queries, asking)
                here = torch.from_numpy(asking[: len(group.queries)]).to(device)
                for first in range(0, len(places), TILE):
                    tile = here @ there[first : first + TILE].t()
                    self._count(tile, group, places[first : first + TILE])

    def _count(self, tile: Tensor, group: _Group, places: Integers) -> None:
        """Add the wrong answers of a tile [r, n] to the counts of the group's matches."""
        self._blot(tile, group.queries, places)
        best, column = highest(tile)
        better = best > group.best
        group.best[better], group.best_place[better] = best[better], places[column[better]]
        if not group.limit.shape[1]:
            return
        below, surely = np.split(lower(ascending(tile), group.limits), 2, axis=1)
        doubtful = surely - below  # [r, P] answers that single precision cannot place
        crowded = doubtful.max(axis=1) * CROWDED > tile.shape[1]
        nearer = tile.shape[1] - surely
        group.ahead[~crowded] += nearer[~crowded]
        rows = np.flatnonzero(crowded)
        for first in range(0, len(rows), LINES):
            self._count_doubles(group, rows[first : first + LINES], places)
        doubtful[crowded] = 0
        self._count_doubtful(tile, group, places, *np.nonzero(doubtful))

    def _count_doubtful(
        self, tile: Tensor, group: _Group, places: Integers, rows: Integers, slots: Integers
    ) -> None:
        """The same for what lies close to single matches (rows and slots of the group), in double precision."""
        count = group.limit.shape[1]
        low, high = (group.limits.numpy()[rows, slots + side, None] for side in (0, count))
        for first in range(0, len(rows), LINES):
            part = slice(first, first + LINES)
            values = tile[torch.from_numpy(rows[part]).to(tile.device)].cpu().numpy()
            which, column = np.nonzero((values >= low[part]) & (values < high[part]))
            row, slot = rows[part][which], slots[part][which]
            similarity = cosines(self.queries, self.answers, group.queries[row], places[column])
            nearer = similarity >= group.limit[row, slot]
            np.add.at(group.ahead, (row[nearer], slot[nearer]), 1)

    def _count_doubles(self, group: _Group, rows: Integers, places: Integers) -> None:
        """The same for whole rows of the group: many answers are about as near as their matches."""
        one, length = self.queries.doubles(group.queries[rows])
        other, other_length = self.answers.doubles(places)
        tile = torch.from_numpy((one @ other.T) / (length[:, None] * other_length))
        self._blot(tile, group.queries[rows], places)
        group.ahead[rows] += tile.shape[1] - lower(ascending(tile), torch.from_numpy(group.limit[rows]))

    def _blot(self, tile: Tensor, asking: Integers, places: Integers) -> None:
        """Overwrite with -inf what is no wrong answer: a query's kin; its camera too if the rule says so."""
        self.line[asking] = np.arange(len(asking))
        first, last = np.searchsorted(self.kin, [places[0], places[-1] + 1])
        rows, columns = self.line[self.kin_query[first:last]], self.kin[first:last] - places[0]
        here = rows >= 0
        tile[torch.from_numpy(rows[here]), torch.from_numpy(columns[here])] = -torch.inf
        if self.pairs.same_camera:
            same = self.pairs.query_camera[asking, None] == self.pairs.answer_camera[places]
            tile.masked_fill_(torch.from_numpy(same).to(tile.device), -torch.inf)
        self.line[asking] = -1


def ascending(tile: Tensor) -> Tensor:
    """A copy with sorted rows; on a CPU by NumPy, which sorts single precision several times as fast."""
    if tile.device.type != "cpu":
        return tile.sort(dim=1).values
    return torch.from_numpy(np.sort(tile.numpy(), axis=1))


def lower(ordered: Tensor, values: Tensor) -> Integers:
    """[r, m] how many of a row of ``ordered`` [r, n] lie below each of a row of ``values`` [r, m]."""
    if ordered.device.type != "cpu":
        return torch.searchsorted(ordered, values.to(ordered.device)).cpu().numpy()
    out = np.empty(values.shape, np.int64)
    for counts, row, wanted in zip(out, ordered.numpy(), values.numpy(), strict=True):
        counts[:] = row.searchsorted(wanted)
    return out


def highest(tile: Tensor) -> tuple[Singles, Integers]:
    """Each row's largest value and its first column."""
    if tile.device.type != "cpu":
        values, columns = tile.max(dim=1)
        return values.cpu().numpy(), columns.cpu().numpy()
    array = tile.numpy()
    places = array.argmax(axis=1)
    return array[np.arange(len(array)), places], places


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in true single precision, even where the program allows TensorFloat-32 or bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
