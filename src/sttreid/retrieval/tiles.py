"""One tile of similarities -> how many of its answers rank before each match: a pure function of the tile.

Similarities are computed in single precision, a tile's rows are sorted, and the matches are looked up in
them. What lies closer to a match than single precision resolves is computed again in double precision.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.rows import Doubles, Rows, Singles, cosines

CROWDED = 32  # a row with more than one doubtful answer in so many is computed again as a whole
LINES = 256  # rows, or matches, computed again at once
ROUNDING = 2.0**-24  # of single precision, relative


@dataclass(frozen=True, eq=False)
class Group:
    """Some queries with about as many matches each, and what their matches are compared with.

    Attributes:
        queries: [r].
        match: [r, P] places in the list of all matches, -1 where a query has fewer than P.
        limit: float64 [r, P]: a wrong answer of at least this similarity ranks before the match; +inf where
            there is none.
        limits: float32 [r, 2 P]: P values below which an answer is farther than the match, whatever the
            rounding, then P values from which on it is nearer.
    """

    queries: Integers
    match: Integers
    limit: Doubles
    limits: Tensor


@dataclass(frozen=True, eq=False)
class Count:
    """What one tile adds to a group.

    Attributes:
        ahead: int64 [r, P] wrong answers that rank before the match.
        best: float32 [r], the highest similarity of a wrong answer, -inf without one.
        best_place: int64 [r], its place among the answers (the first of equal ones).
    """

    ahead: Integers
    best: Singles
    best_place: Integers


def room(width: int) -> float:
    """More than the rounding, in single precision, of a scalar product of rows of length 1 and width D."""
    return 4 * ROUNDING * (2 + math.sqrt(width))


class Counter:
    """Counts tiles; holds what does not change from tile to tile, and can be shared by threads."""

    def __init__(self, queries: Rows, answers: Rows, pairs: Pairs) -> None:
        self.queries, self.answers, self.pairs = queries, answers, pairs
        order = np.argsort(pairs.kin, kind="stable")
        self.kin, self.kin_query = pairs.kin[order], pairs.kin_query[order]

    def count(self, tile: Tensor, group: Group, places: Integers) -> Count:
        """Count a tile [r, n]: similarities of the group's queries and the answers at ``places`` [n].

        The places are consecutive; the tile is overwritten.
        """
        self._blot(tile, group.queries, places)
        best, column = _highest(tile)
        ahead: Integers = np.zeros(group.limit.shape, np.int64)
        if group.limit.size:
            below, surely = np.split(_lower(_ascending(tile), group.limits), 2, axis=1)
            doubtful = surely - below  # [r, P] answers that single precision cannot place
            crowded = doubtful.max(axis=1) * CROWDED > tile.shape[1]
            ahead += tile.shape[1] - surely
            self._count_close(ahead, tile, group, places, doubtful * ~crowded[:, None])
            rows = np.flatnonzero(crowded)
            for first in range(0, len(rows), LINES):
                self._count_again(ahead, group, rows[first : first + LINES], places)
        return Count(ahead, best, places[column])

    def _count_close(
        self, ahead: Integers, tile: Tensor, group: Group, places: Integers, doubtful: Integers
    ) -> None:
        """Add what lies close to a match and is at least as near, by double precision."""
        rows, slots = np.nonzero(doubtful)
        edges = group.limits.numpy()
        low, high = edges[rows, slots, None], edges[rows, slots + doubtful.shape[1], None]
        for first in range(0, len(rows), LINES):
            part = slice(first, first + LINES)
            values = tile[torch.from_numpy(rows[part]).to(tile.device)].cpu().numpy()
            which, column = np.nonzero((values >= low[part]) & (values < high[part]))
            row, slot = rows[part][which], slots[part][which]
            similarity = cosines(self.queries, self.answers, group.queries[row], places[column])
            nearer = similarity >= group.limit[row, slot]
            np.add.at(ahead, (row[nearer], slot[nearer]), 1)

    def _count_again(self, ahead: Integers, group: Group, rows: Integers, places: Integers) -> None:
        """Replace the counts of whole rows by double precision's: too much is close to their matches."""
        one, length = self.queries.doubles(group.queries[rows])
        other, other_length = self.answers.doubles(places)
        tile = torch.from_numpy((one @ other.T) / (length[:, None] * other_length))
        self._blot(tile, group.queries[rows], places)
        ahead[rows] = len(places) - _lower(_ascending(tile), torch.from_numpy(group.limit[rows]))

    def _blot(self, tile: Tensor, asking: Integers, places: Integers) -> None:
        """Overwrite with -inf what is no wrong answer: a query's kin; its camera too if the rule says so."""
        line = np.full(len(self.pairs.query_camera), -1)
        line[asking] = np.arange(len(asking))
        first, last = np.searchsorted(self.kin, [places[0], places[-1] + 1])
        rows, columns = line[self.kin_query[first:last]], self.kin[first:last] - places[0]
        here = rows >= 0
        tile[torch.from_numpy(rows[here]), torch.from_numpy(columns[here])] = -torch.inf
        if self.pairs.same_camera:
            same = self.pairs.query_camera[asking, None] == self.pairs.answer_camera[places]
            tile.masked_fill_(torch.from_numpy(same).to(tile.device), -torch.inf)


def product(here: Tensor, there: Tensor) -> Tensor:
    """[r, D] and [n, D] -> [r, n]; on a CPU by NumPy's BLAS, which took a fifth less time than torch's."""
    if here.device.type != "cpu":
        return here @ there.t()
    return torch.from_numpy(here.numpy() @ there.numpy().T)


def _ascending(tile: Tensor) -> Tensor:
    """A copy with sorted rows; on a CPU by NumPy, which sorts single precision several times as fast."""
    if tile.device.type != "cpu":
        return tile.sort(dim=1).values
    return torch.from_numpy(np.sort(tile.numpy(), axis=1))


def _lower(ordered: Tensor, values: Tensor) -> Integers:
    """[r, m] how many of a row of ``ordered`` [r, n] lie below each of a row of ``values`` [r, m]."""
    if ordered.device.type != "cpu":
        return torch.searchsorted(ordered, values.to(ordered.device)).cpu().numpy()
    out = np.empty(values.shape, np.int64)
    for counts, row, wanted in zip(out, ordered.numpy(), values.numpy(), strict=True):
        counts[:] = row.searchsorted(wanted)
    return out


def _highest(tile: Tensor) -> tuple[Singles, Integers]:
    """Each row's largest value and its first column."""
    if tile.device.type != "cpu":
        values, columns = tile.max(dim=1)
        return values.cpu().numpy(), columns.cpu().numpy()
    array = tile.numpy()
    places = array.argmax(axis=1)
    return array[np.arange(len(array)), places], places
