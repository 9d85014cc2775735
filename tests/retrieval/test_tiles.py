"""One tile against counting; single precision never decides what it cannot resolve."""

import numpy as np
import pytest
import torch

from sttreid.retrieval import tiles
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
    doubles, lengths = rows.doubles(np.arange(200))
    exact = (doubles @ doubles.T) / lengths / lengths[:, None]
    for single in (tiles.product(units, units), units @ units.t()):
        assert np.abs(single.numpy() - exact).max() < tiles.room(width) / 2


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
