"""One tile against counting; single precision never decides what it cannot resolve."""

import numpy as np
import pytest

from sttreid.retrieval.counting import Counter, rounding_bound
from sttreid.retrieval.features import FeatureRows
from sttreid.retrieval.labels import Labels, candidates
from sttreid.retrieval.protocol import MARKET


@pytest.mark.parametrize("width", [1, 2, 8, 100, 2048])
@pytest.mark.parametrize("kind", ["normal", "positive", "constant", "spiky"])
def test_products_in_single_precision_are_well_within_the_bound(width, kind):
    values = np.random.default_rng(width).standard_normal((200, width))
    values = {
        "normal": values,
        "positive": np.abs(values) + 1,
        "constant": 1 + 1e-3 * values,
        "spiky": values**9,
    }[kind]
    rows = FeatureRows("query", values.astype(np.float32), np.arange(200))
    single, double = rows.unit32(np.arange(200)), rows.unit64(np.arange(200))
    assert np.abs(single @ single.T - double @ double.T).max() < rounding_bound(width) / 2


@pytest.mark.parametrize("width", [16, 367, 433, 4096])
def test_sums_in_any_order_are_within_the_bound(width):
    # one after the other is the worst order: equal terms round equally, and nothing evens out
    worst = 0.0
    for value in np.linspace(0.5, 1.5, 40):
        row = np.full((1, width), value, np.float32)
        row[0, 0] *= 1 + value  # so that lengths differ
        unit = FeatureRows("query", row, np.arange(1)).unit32(np.zeros(1, int))[0]
        worst = max(worst, abs(float(np.cumsum(unit * unit, dtype=np.float32)[-1]) - 1))
    assert 0.1 * rounding_bound(width) < worst < rounding_bound(width)  # no bound ten times smaller holds


@pytest.mark.parametrize("offset", [-1.0, 0.0, 1.0])
def test_a_negative_at_the_edge_of_the_bound_is_counted_once(offset):
    # of 100 made-up similarities two are at or near the edge of the match's bound, and none is computed again
    # but column 50, whose similarity in double precision is above the limit
    width, limit = 2, 0.5
    edge = np.float32(limit + rounding_bound(width)) + np.float32(offset * 2.0**-24)
    table = np.tile([[0.0, 1.0]], (100, 1))
    table[0], table[50] = [1.0, 1.0], [1.0, 0.0]
    sides = FeatureRows("query", np.eye(2)[:1], np.arange(1)), FeatureRows("gallery", table, np.arange(100))
    ranked = candidates(Labels([1], [1]), Labels([1, *range(2, 101)], np.full(100, 2)), MARKET)
    tile = np.full((1, 100), -0.5, np.float32)
    tile[0, 50] = edge
    counter = Counter(*sides, ranked, np.array([limit]))
    counter.count(np.arange(1), np.arange(100), tile, np.empty_like(tile))
    assert counter.above.tolist() == [1]
    assert counter.best_column.tolist() == [50]
