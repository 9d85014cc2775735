"""Who is a stranger, and what a search finds then."""

from dataclasses import replace

import numpy as np
import pytest

from sttreid.retrieval import Labels, evaluate
from sttreid.retrieval.open_set import halves, with_strangers

PEOPLE = np.repeat(np.arange(6), 2)
CAMERAS = np.tile([1, 2], 6)


def searched(people=PEOPLE, cameras=CAMERAS, seed=0):
    """A result with strangers, and the galleries that were asked for."""
    features = np.random.default_rng(seed).standard_normal((len(people), 5))
    asked = []

    def of_gallery(removed):
        kept = np.flatnonzero(~np.isin(people, removed))
        asked.append(set(people.tolist()) - set(people[kept].tolist()))
        return evaluate(features, features[kept], (people, cameras), (people[kept], cameras[kept]))

    return with_strangers(of_gallery([]), of_gallery), asked[1:]


def test_the_two_halves_hold_everybody_once_and_never_change():
    for count in (2, 5, 120):
        people = np.random.default_rng(1).integers(0, 10**6, count)
        first, second = halves(np.repeat(people, 3))
        assert sorted([*first, *second]) == sorted(set(people.tolist()))
        assert 0 <= len(second) - len(first) <= 1
        assert np.array_equal(halves(people[::-1])[0], first)


def test_every_query_is_once_a_stranger_and_once_there():
    result, asked = searched()
    first, second = asked
    assert (len(first), first | second, first & second) == (3, set(range(6)), set())
    table = result.per_query
    assert np.isfinite(table["stranger_distance"]).all()
    assert np.isfinite(table["there_distance"]).all()
    ahead = table["there_correct"] & (table["first_hit"] > 1)  # the wrong ones before it were removed
    assert table["there_correct"][table["first_hit"] == 1].all()
    assert (
        table["there_distance"] >= np.fmin(table["best_match_distance"], table["best_wrong_distance"])
    ).all()
    assert table["there_correct"].sum() == (table["first_hit"] == 1).sum() + ahead.sum()


def test_a_stranger_whom_nobody_can_be_taken_for_raises_no_alarm():
    features = np.eye(4)
    labels = (np.array([1, 1, 2, 2]), np.array([1, 2, 1, 2]))

    def of_gallery(removed):
        kept = np.flatnonzero(~np.isin(labels[0], removed))
        gallery = Labels(labels[0][kept], labels[1][kept])
        found = evaluate(features, features[kept], labels, gallery)
        empty = found.per_query.assign(best_match_distance=np.nan, best_wrong_distance=np.nan)
        return found if not len(removed) else replace(found, per_query=empty)

    assert np.isinf(with_strangers(of_gallery([]), of_gallery).per_query["stranger_distance"]).all()


@pytest.mark.parametrize(
    ("people", "cameras", "searches"),
    [
        ([1, 1, 2, 3], [1, 2, 1, 1], 0),  # one person with a match is not enough
        ([1, 1, 2, 2, 3], [1, 2, 1, 2, 1], 4),  # the last query has no match
    ],
)
def test_queries_without_a_match_are_nobody(people, cameras, searches):
    result, asked = searched(np.array(people), np.array(cameras))
    table = result.per_query
    assert len(asked) == (2 if searches else 0)
    assert table["stranger_distance"].notna().sum() == table["there_distance"].notna().sum() == searches
    assert not table["there_correct"][table["there_distance"].isna()].any()
