"""One tile against counting; single precision never decides what it cannot resolve."""

import numpy as np
import pytest
import torch

from sttreid.retrieval import tiles
from sttreid.retrieval.labels import Labels, pair
from sttreid.retrieval.protocol import MARKET
from sttreid.retrieval.rows import Rows


@pytest.mark.parametrize("width", [1, 2, 8, 100, 2048])
@pytest.mark.parametrize("kind", ["normal", "positive", "constant", "spiky"])
def test_rounding_of_single_precision_stays_well_inside_the_room(width, kind):
    values = np.random.default_rng(width).standard_normal((200, width))
    values = {
        "normal": values,
        "positive": np.abs(values) + 1,
        "constant": 1 + 1e-3 * values,
        "spiky": values**9,
    }[kind]
    rows = Rows("query", values.astype(np.float32), np.arange(200))
    units = torch.from_numpy(rows.units(np.arange(200)))
    doubles = rows.directions(np.arange(200))
    exact = doubles @ doubles.T
    for single in (tiles.product(units, units), units @ units.t()):
        assert np.abs(single.numpy() - exact).max() < tiles.room(width) / 2


@pytest.mark.parametrize("width", [16, 367, 433, 4096])
def test_sums_in_any_order_stay_inside_the_room(width):
    # one after the other is the worst order: alike terms round alike, and nothing evens out
    worst = 0.0
    for value in np.linspace(0.5, 1.5, 40):
        row = np.full((1, width), value, np.float32)
        row[0, 0] *= 1 + value  # so that lengths differ
        unit = Rows("query", row, np.arange(1)).units(np.zeros(1, int))[0]
        worst = max(worst, abs(float(np.cumsum(unit * unit, dtype=np.float32)[-1]) - 1))
    assert worst < tiles.room(width)
    assert worst > 0.1 * tiles.room(width)  # no smaller bound by an order


def test_an_answer_on_an_edge_of_the_room_is_counted_once():
    # 100 answers whose single precision is made up: one on the upper edge of a match, one in doubt
    table = np.tile([[0.0, 1.0]], (100, 1))
    table[0], table[50] = [1.0, 1.0], [1.0, 0.0]
    asks, there = Labels([1], [1]), Labels([1, *range(2, 101)], np.full(100, 2))
    sides = Rows("query", np.eye(2)[:1], np.arange(1)), Rows("gallery", table, np.arange(100))
    group = tiles.Group(np.array([0]), np.array([[0]]), np.array([[0.5]]), torch.tensor([[0.25, 0.75]]))
    tile = torch.full((1, 100), -0.5)
    tile[0, 50], tile[0, 51] = 0.75, 0.5
    counter = tiles.Counter(*sides, pair(asks, there, MARKET))
    assert counter.count(tile, group, np.arange(100)).ahead.tolist() == [[1]]


def test_helpers_agree_with_those_of_other_devices():
    tile = torch.rand(7, 50, generator=torch.Generator().manual_seed(1))
    tile[2] = -torch.inf
    np.testing.assert_array_equal(tiles._ascending(tile), tile.sort(dim=1).values)
    values = torch.rand(7, 5, generator=torch.Generator().manual_seed(2))
    values[0, :3] = tile[0, [4, 9, 9]]
    ordered = tile.sort(dim=1).values
    np.testing.assert_array_equal(tiles._lower(ordered, values), torch.searchsorted(ordered, values))
    best, column = tiles._highest(tile)
    np.testing.assert_array_equal(best, tile.max(dim=1).values)
    np.testing.assert_array_equal(np.delete(column, 2), np.delete(tile.max(dim=1).indices.numpy(), 2))
    assert tiles._highest(torch.ones(2, 3))[1].tolist() == [0, 0]
