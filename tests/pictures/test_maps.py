"""The map keeps neighbours together, and gives the same places again."""

import numpy as np
import pandas as pd
import pytest

from sttreid.pictures.maps import drawn, own_share, project


def two_heaps(count=20):
    rng = np.random.default_rng(0)
    points = np.concatenate([np.eye(8)[[0] * count], np.eye(8)[[1] * count]]) + 0.1 * rng.standard_normal(
        (2 * count, 8)
    )
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_heaps_stay_apart_and_places_come_again():
    points = two_heaps()
    places = project(points, 5, 0)
    assert np.array_equal(places, project(points, 5, 0))
    assert np.abs(places).max() == pytest.approx(1)
    own = np.linalg.norm(places[:20] - places[:20].mean(0), axis=1).mean()
    assert own < np.linalg.norm(places[:20].mean(0) - places[20:].mean(0)) / 2


@pytest.mark.parametrize("count", [3, 4, 10])
def test_few_points_lower_the_perplexity(count):
    assert project(two_heaps()[:count], 30, 0).shape == (count, 2)


def test_the_own_share_is_that_of_the_ten_nearest_others():
    points, groups = two_heaps(), np.array(["a"] * 20 + ["b"] * 20)
    assert own_share(points, groups).tolist() == [1.0] * 40
    mixed = np.tile(["a", "b"], 20)
    similar = points @ points.T
    expected = []
    for row in range(40):
        near = sorted((column for column in range(40) if column != row), key=lambda c: -similar[row, c])[:10]
        expected.append(np.mean(mixed[near] == mixed[row]))
    assert own_share(points, mixed) == pytest.approx(expected)


def test_a_sample_is_drawn_once_and_keeps_its_order():
    table = pd.DataFrame({"tracklet": np.arange(50)})
    some = drawn(table, 10, 0)["tracklet"]
    assert len(set(some)) == 10
    assert some.is_monotonic_increasing
    assert some.tolist() == drawn(table, 10, 0)["tracklet"].tolist()
    assert some.tolist() != drawn(table, 10, 1)["tracklet"].tolist()
    assert len(drawn(table, 99, 0)) == 50
