"""Measures against a recomputation from their definitions, query by query and rank by rank."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score

from sttreid.errors import InputError
from sttreid.retrieval import metrics
from sttreid.retrieval.metrics import evaluate
from sttreid.retrieval.protocol import EMBEDDED

TRAPEZOID = replace(EMBEDDED, name="trapezoid", average_precision="trapezoid")
ZERO = replace(EMBEDDED, name="zero", unmatched="zero")
MEASURES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


def ranking(distances, identity, camera, identities, cameras):
    """True and False from nearest to farthest, after exclusion; wrong before right where distances tie."""
    answers = [
        (distance, other == identity)
        for distance, other, place in zip(distances, identities, cameras, strict=True)
        if not (other == identity and place == camera)
    ]
    return [right for _, right in sorted(answers)]


def naive(distances, query_identities, query_cameras, identities, cameras, protocol):
    """All measures by walking down each ranking."""
    rows = []
    for line, identity, camera in zip(distances, query_identities, query_cameras, strict=True):
        hits = ranking(line, identity, camera, identities, cameras)
        if not any(hits):
            if protocol.unmatched == "zero":
                rows.append([0.0] * 6)
            continue
        found, ap, old_precision = 0, 0.0, 1.0
        for rank, hit in enumerate(hits, start=1):
            found += hit
            precision = found / rank
            if hit and protocol.average_precision == "step":
                ap += precision / sum(hits)
            elif hit:
                ap += (old_precision + precision) / 2 / sum(hits)
            old_precision = precision
        last = max(rank for rank, hit in enumerate(hits, start=1) if hit)
        rows.append([*(float(any(hits[:k])) for k in (1, 5, 10, 20)), ap, sum(hits) / last])
    return dict(zip(MEASURES, np.mean(rows, axis=0), strict=True)), len(rows)


def everyone_asks(distances, identities, cameras, protocol=EMBEDDED):
    return evaluate(distances, identities, cameras, identities, cameras, protocol)


@st.composite
def problems(draw):
    """Small galleries with many ties, identities of a single camera, and queries that nothing matches."""
    queries, gallery = draw(st.integers(1, 7)), draw(st.integers(1, 26))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    people, places = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    distances = rng.integers(0, levels, (queries, gallery)).astype(np.float32) / 7
    labels = [rng.integers(0, high, n) for n in (queries, gallery) for high in (people, places)]
    return distances, *labels


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([EMBEDDED, TRAPEZOID, ZERO]))
def test_measures_equal_the_walk_down_each_ranking(problem, protocol):
    distances, query_identities, query_cameras, identities, cameras = problem
    arguments = (distances, query_identities, query_cameras, identities, cameras, protocol)
    if not any(any(ranking(*row, identities, cameras)) for row in zip(*problem[:3], strict=True)):
        with pytest.raises(InputError, match="has a match in another camera"):
            evaluate(*arguments)
        return
    result = evaluate(*arguments)
    expected, queries = naive(*arguments)
    assert {name: getattr(result, name) for name in MEASURES} == pytest.approx(expected)
    assert (result.queries, result.queries + result.dropped) == (queries, len(distances))
    assert 0 <= result.rank1 <= result.rank5 <= result.rank10 <= result.rank20 <= 1


@settings(max_examples=100, deadline=None)
@given(problems(), st.sampled_from([EMBEDDED, TRAPEZOID, ZERO]), st.integers(0, 2**32 - 1))
def test_distractors_can_only_lower_or_keep_every_query(problem, protocol, seed):
    distances, query_identities, query_cameras, identities, cameras = problem
    if not any(any(ranking(*row, identities, cameras)) for row in zip(*problem[:3], strict=True)):
        return
    rng = np.random.default_rng(seed)
    more = int(rng.integers(1, 9))
    nearer = rng.choice(distances.ravel(), (len(distances), more))  # many ties with what is there
    crowd = (rng.integers(100, 103, more), rng.integers(0, 4, more))
    before = evaluate(*problem, protocol)
    after = evaluate(
        np.concatenate([distances, nearer], axis=1),
        query_identities,
        query_cameras,
        np.concatenate([identities, crowd[0]]),
        np.concatenate([cameras, crowd[1]]),
        protocol,
    )
    assert (after.gallery, after.distractors) == (before.gallery + more, before.distractors + more)
    assert (after.queries, after.dropped) == (before.queries, before.dropped)
    old, new = before.per_query, after.per_query
    assert (new["matches"] == old["matches"]).all()
    assert (new["wrong"] == old["wrong"] + more).all()
    assert (new["first_hit"] >= old["first_hit"]).all()
    counted = old["ap"].notna()
    assert (new["ap"].notna() == counted).all()
    for measure in ("ap", "inp"):
        assert (new[measure][counted] <= old[measure][counted] + 1e-12).all()
    assert all(getattr(after, name) <= getattr(before, name) + 1e-12 for name in MEASURES)


def test_distractors_are_counted_as_people_whom_nobody_asks_for():
    identities, cameras = np.array([1, 1, 2, 3, 3, 3]), np.array([1, 2, 1, 1, 2, 2])
    asked = (np.zeros((2, 6)), np.array([1, 1]), np.array([1, 2]))
    assert evaluate(*asked, identities, cameras, EMBEDDED).distractors == 4
    assert everyone_asks(np.zeros((6, 6)), identities, cameras).distractors == 0


def tie_free(seed, tracklets=60, people=9, cameras=4):
    """Distances without ties, in which every query has a match."""
    rng = np.random.default_rng(seed)
    distances = rng.permutation(tracklets**2).reshape(tracklets, tracklets) / tracklets**2
    numbers = np.arange(tracklets)
    return distances, rng.permutation(numbers % people), numbers // (tracklets // cameras)


@pytest.mark.parametrize("seed", range(3))
def test_step_average_precision_equals_scikit_learn(seed):
    distances, identities, cameras = tie_free(seed)
    table = everyone_asks(distances, identities, cameras).per_query
    assert (table["matches"] > 0).all()
    for row, ap in zip(table["query"], table["ap"], strict=True):
        stays = (identities != identities[row]) | (cameras != cameras[row])
        right = identities[stays] == identities[row]
        assert ap == pytest.approx(average_precision_score(right, -distances[row, stays]))


@pytest.mark.parametrize("seed", range(3))
def test_trapezoid_average_precision_is_the_area_under_the_precision_recall_curve(seed):
    distances, identities, cameras = tie_free(seed)
    table = everyone_asks(distances, identities, cameras, TRAPEZOID).per_query
    for row, ap in zip(table["query"], table["ap"], strict=True):
        hits = ranking(distances[row], identities[row], cameras[row], identities, cameras)
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(hits) + 1)
        area = auc(np.r_[0, found / found[-1]], np.r_[1, precision])
        assert ap == pytest.approx(area)


def test_a_ranking_worked_out_by_hand():
    # the query is identity 1 in camera 1; from near to far: itself, wrong, right, same camera, wrong, right
    distances = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]])
    identities, cameras = np.array([1, 2, 1, 1, 3, 1]), np.array([1, 1, 2, 1, 1, 3])
    result = evaluate(distances, np.array([1]), np.array([1]), identities, cameras, EMBEDDED)
    row = {"matches": 2, "wrong": 2, "first_hit": 2, "ap": 0.5, "inp": 0.5}
    assert result.per_query.to_dict("records") == [{"query": 0, "identity": 1, "camera": 1, **row}]
    assert (result.rank1, result.rank5, result.mAP, result.mINP, result.gallery) == (0.0, 1.0, 0.5, 0.5, 6)


def test_equal_distances_score_no_first_rank():
    identities, cameras = np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5)
    result = everyone_asks(np.zeros((20, 20)), identities, cameras)
    assert (result.rank1, result.rank10, result.rank20) == (0.0, 0.0, 1.0)
    assert result.mAP == pytest.approx(np.mean([1 / 17, 2 / 18, 3 / 19]))


def test_the_order_of_the_gallery_changes_nothing():
    rng = np.random.default_rng(5)
    distances = rng.integers(0, 4, (30, 40)) / 4  # many ties
    query_identities, query_cameras = rng.integers(0, 6, 30), rng.integers(0, 3, 30)
    identities, cameras = rng.integers(0, 6, 40), rng.integers(0, 3, 40)
    order = rng.permutation(40)
    plain = evaluate(distances, query_identities, query_cameras, identities, cameras, EMBEDDED)
    moved = evaluate(
        distances[:, order], query_identities, query_cameras, identities[order], cameras[order], EMBEDDED
    )
    assert moved == plain
    assert moved.per_query.equals(plain.per_query)


def test_the_number_of_rows_ranked_at_once_changes_nothing(monkeypatch):
    distances, identities, cameras = tie_free(7)
    whole = everyone_asks(distances, identities, cameras)
    monkeypatch.setattr(metrics, "ROWS", 7)
    parts = everyone_asks(distances, identities, cameras)
    assert parts == whole
    assert parts.per_query.equals(whole.per_query)


def test_an_unmatched_query_is_dropped_and_counted_or_scores_zero():
    distances = np.array([[0.0, 0.5, 0.9], [0.5, 0.0, 0.9], [0.9, 0.9, 0.0]])
    identities, cameras = np.array([1, 1, 2]), np.array([1, 2, 1])
    dropped, zero = (everyone_asks(distances, identities, cameras, protocol) for protocol in (EMBEDDED, ZERO))
    assert (dropped.queries, dropped.dropped, dropped.mAP, dropped.rank1) == (2, 1, 1.0, 1.0)
    assert (zero.queries, zero.dropped) == (3, 0)
    assert (zero.mAP, zero.rank20) == pytest.approx((2 / 3, 2 / 3))
    assert np.isnan(dropped.per_query["ap"][2])
    assert zero.per_query["ap"][2] == 0.0


def test_nothing_to_score_is_refused():
    with pytest.raises(InputError, match="none of the 2 queries has a match in another camera"):
        everyone_asks(np.zeros((2, 2)), np.array([1, 2]), np.array([1, 1]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 300])
def test_a_distance_that_is_not_finite_is_refused_with_its_place(value, row):
    distances = np.ones((301, 3))
    distances[row, 2] = value
    identities, cameras = np.array([0, 0, 1]), np.array([0, 1, 0])
    with pytest.raises(InputError, match=f"row {row}, column 2 must be finite, got {value}"):
        evaluate(distances, np.zeros(301, int), np.zeros(301, int), identities, cameras, EMBEDDED)


def test_labels_that_do_not_fit_the_distances_are_refused():
    with pytest.raises(InputError, match=r"gallery cameras must be 3 numbers.*got the shape \(2,\)"):
        evaluate(np.ones((2, 3)), np.zeros(2), np.zeros(2), np.zeros(3), np.zeros(2), EMBEDDED)
    with pytest.raises(InputError, match="two axes"):
        evaluate(np.ones(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), EMBEDDED)


def test_the_numbers_of_a_result_are_plain():
    numbers = everyone_asks(*tie_free(1)).numbers()
    assert set(numbers) == {*MEASURES, "queries", "dropped", "gallery", "distractors"}
    assert {type(value) for value in numbers.values()} == {int, float}
