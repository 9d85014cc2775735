"""One tile of similarities -> how many of its answers rank before each match, and which wrong one is nearest.

Similarities are computed in single precision, a tile's rows are sorted, and the matches are looked up in
them. What lies closer to a match than single precision resolves is computed again in double precision.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sttreid.retrieval.labels import Integers, Pairs
from sttreid.retrieval.rows import Doubles, Rows, Singles, cosines

CROWDED = (
    32  # a row with more than one doubt, of an answer about a match, in so many answers is computed anew
)
LINES = 256  # rows, or matches, computed again at once
ROUNDING = 2.0**-24  # of single precision, relative
NOISE = 1e-12  # more than the rounding of a similarity in double precision, surely up to D = 4,000


@dataclass(frozen=True, eq=False)
class Group:
    """Some queries with about as many matches each, and what their matches are compared with.

    Attributes:
        queries: [r].
        match: [r, P] places in the list of all matches, -1 where a query has fewer than P.
        limit: float64 [r, P]: a wrong answer of at least this similarity ranks before the match; +inf where
            there is none.
        edges: float32 [r, 2 P]: P values below which an answer is farther than the match, whatever the
            rounding, then P values from which on it is nearer.
    """

    queries: Integers
    match: Integers
    limit: Doubles
    edges: Tensor


@dataclass(frozen=True, eq=False)
class Count:
    """What one tile adds to a group.

    Attributes:
        ahead: int64 [r, P] wrong answers that rank before the match.
        best: float64 [r], the highest similarity of a wrong answer, within :func:`room`; -inf without one.
        best_place: int64 [r], its place among the answers (the first of equal ones), -1 without one.
    """

    ahead: Integers
    best: Doubles
    best_place: Integers


def nothing(group: Group) -> Count:
    """What is known before the first tile."""
    asking = len(group.queries)
    return Count(np.zeros(group.match.shape, np.int64), np.full(asking, -np.inf), np.full(asking, -1))


def room(width: int) -> float:
    """Bound of what rounding does to a similarity in single precision: rows of length 1 and width D.

    Each of the D products and sums may be off by one rounding, in whatever order they are added (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); the rows themselves by one each.
    Rounding of alike rows is systematic and comes near it, so nothing smaller is safe.
    """
    return ROUNDING * (width + 4) * (1 + width * ROUNDING)


class Counter:
    """Counts tiles; holds what does not change from tile to tile, and can be shared by threads."""

    def __init__(self, queries: Rows, answers: Rows, pairs: Pairs) -> None:
        self.queries, self.answers, self.pairs = queries, answers, pairs
        self.room = room(queries.width)
        order = np.argsort(pairs.kin, kind="stable")
        self.kin, self.kin_query = pairs.kin[order], pairs.kin_query[order]

    def count(self, tile: Tensor, group: Group, places: Integers) -> Count:
        """Count a tile [r, n]: similarities of the group's queries and the answers at ``places`` [n].

        The places are consecutive; the tile is overwritten.
        """
        self._blot(tile, group.queries, places)
        best, column = _highest(tile)
        rivals = torch.from_numpy((best - 2 * self.room - ROUNDING).astype(np.float32))[:, None]
        below = _lower(_ascending(tile), torch.cat([group.edges, rivals], dim=1))
        count = group.match.shape[1]
        doubtful = below[:, count:-1] - below[:, :count]  # [r, P] answers that single precision cannot place
        others = np.where(np.isneginf(best), 0, tile.shape[1] - below[:, -1] - 1)  # that may be the best, too
        crowded = np.maximum(doubtful.sum(axis=1), others) * CROWDED > tile.shape[1]
        found = Count(
            ahead=tile.shape[1] - below[:, count:-1],
            best=best.astype(np.float64),
            best_place=np.where(np.isneginf(best), -1, places[column]),
        )
        self._count_close(found.ahead, tile, group, places, doubtful * ~crowded[:, None])
        self._choose(found, tile, group, places, rivals.numpy(), np.flatnonzero(~crowded & (others > 0)))
        rows = np.flatnonzero(crowded)
        for first in range(0, len(rows), LINES):
            self._count_again(found, group, rows[first : first + LINES], places)
        return found

    def _count_close(
        self, ahead: Integers, tile: Tensor, group: Group, places: Integers, doubtful: Integers
    ) -> None:
        """Add what lies close to a match and is at least as near, by double precision."""
        rows, slots = np.nonzero(doubtful)
        edges = group.edges.numpy()
        low, high = edges[rows, slots, None], edges[rows, slots + doubtful.shape[1], None]
        for first in range(0, len(rows), LINES):
            part = slice(first, first + LINES)
            values = _lines(tile, rows[part])
            which, column = np.nonzero((values >= low[part]) & (values < high[part]))
            row, slot = rows[part][which], slots[part][which]
            similarity = cosines(self.queries, self.answers, group.queries[row], places[column])
            nearer = similarity >= group.limit[row, slot]
            np.add.at(ahead, (row[nearer], slot[nearer]), 1)

    def _choose(
        self, found: Count, tile: Tensor, group: Group, places: Integers, rivals: Singles, rows: Integers
    ) -> None:
        """Choose the nearest wrong answer by double precision in rows where several may be it."""
        for first in range(0, len(rows), LINES):
            some = rows[first : first + LINES]
            which, column = np.nonzero(_lines(tile, some) >= rivals[some])
            similarity = cosines(self.queries, self.answers, group.queries[some[which]], places[column])
            top = np.full(len(some), -np.inf)
            np.maximum.at(top, which, similarity)
            nearest = np.flatnonzero(similarity >= top[which] - NOISE)
            head = nearest[np.flatnonzero(np.diff(which[nearest], prepend=-1))]  # the first of each row
            found.best_place[some] = places[column[head]]

    def _count_again(self, found: Count, group: Group, rows: Integers, places: Integers) -> None:
        """Replace what was found for whole rows by double precision's: too much is close together."""
        one, other = self.queries.directions(group.queries[rows]), self.answers.directions(places)
        tile = torch.from_numpy(one @ other.T)
        self._blot(tile, group.queries[rows], places)
        found.ahead[rows] = len(places) - _lower(_ascending(tile), torch.from_numpy(group.limit[rows]))
        found.best[rows] = best = tile.numpy().max(axis=1)
        column = (tile.numpy() >= best[:, None] - NOISE).argmax(axis=1)  # the first
        found.best_place[rows] = np.where(np.isneginf(best), -1, places[column])

    def add(self, total: Count, more: Count, group: Group) -> None:
        """Add a later tile's count to a total; where both bests may be the nearer, double precision tells."""
        total.ahead[:] += more.ahead
        both = (total.best_place >= 0) & (more.best_place >= 0)
        apart = np.subtract(more.best, total.best, where=both, out=np.zeros(len(both)))
        unclear = np.flatnonzero(both & (np.abs(apart) <= 2 * self.room))
        nearer = np.where(both, apart > 0, more.best_place >= 0)
        old, new = (
            cosines(self.queries, self.answers, group.queries[unclear], one.best_place[unclear])
            for one in (total, more)
        )
        nearer[unclear] = new > old + NOISE  # of equal ones the first stays
        total.best[nearer], total.best_place[nearer] = more.best[nearer], more.best_place[nearer]

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


def _lines(tile: Tensor, rows: Integers) -> Singles:
    """Some rows of a tile."""
    lines: Singles = tile[torch.from_numpy(rows).to(tile.device)].cpu().numpy()
    return lines


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
