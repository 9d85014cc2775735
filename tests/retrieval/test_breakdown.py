"""Camera pairs against the evaluator on the pair's tracklets alone."""

import numpy as np
import pytest

from sttreid.retrieval import Labels, evaluate, protocol
from sttreid.retrieval.breakdown import camera_pairs
from tests.retrieval.conftest import problem

MARKET = protocol("market")


def test_a_pair_is_what_its_two_cameras_alone_give(crowd):
    table = camera_pairs(crowd.query_features, crowd.gallery_features, crowd.query, crowd.gallery, MARKET)
    assert len(table) == 12
    for one, other, queries, rank1, mean_ap in table.itertuples(index=False):
        asking = np.flatnonzero(crowd.query.camera == one)
        there = np.flatnonzero(crowd.gallery.camera == other)
        alone = evaluate(
            crowd.query_features[asking],
            crowd.gallery_features[there],
            crowd.query.take(asking),
            crowd.gallery.take(there),
            MARKET,
        )
        assert (queries, rank1, mean_ap) == pytest.approx((alone.queries, alone.rank1, alone.mAP))
        assert one != other


def test_pairs_in_which_nobody_is_matched_are_left_out():
    features = np.eye(4)
    labels = Labels([1, 1, 2, 3], [1, 2, 3, 3], junk=[False, False, False, True])
    table = camera_pairs(features, features, labels, labels, MARKET)
    assert table[["query_camera", "gallery_camera", "queries"]].to_numpy().tolist() == [[2, 1, 1], [1, 2, 1]]
    lonely = Labels([1, 2], [1, 2])
    assert camera_pairs(features[:2], features[:2], lonely, lonely, MARKET).empty


@pytest.mark.parametrize("name", ["mars-official", "minus-queries", "ilids-1"])
def test_a_pair_counts_matched_queries_alone_whatever_the_protocol(name):
    sides, rules = problem(4, queries=40, gallery=120), protocol(name)
    sides.gallery.query[:] = sides.gallery.camera == 0
    table = camera_pairs(sides.query_features, sides.gallery_features, sides.query, sides.gallery, rules)
    assert len(table)
    for one, other, queries, rank1, mean_ap in table.itertuples(index=False):
        asking = np.flatnonzero(sides.query.camera == one)
        there = np.flatnonzero(sides.gallery.camera == other)
        alone = evaluate(
            sides.query_features[asking],
            sides.gallery_features[there],
            sides.query.take(asking),
            sides.gallery.take(there),
            rules,
        ).per_query
        rows = alone[alone["matches"] > 0]
        expected = len(rows), (rows["first_hit"] == 1).mean(), rows["ap"].mean()
        assert (queries, rank1, mean_ap) == pytest.approx(expected)
        assert one != other


def test_queries_that_do_not_answer_are_left_out():
    sides = problem(1)
    sides.gallery.query[:] = sides.gallery.camera == 0
    rules = protocol("minus-queries")
    table = camera_pairs(sides.query_features, sides.gallery_features, sides.query, sides.gallery, rules)
    assert set(table["gallery_camera"]) == {1, 2, 3}
