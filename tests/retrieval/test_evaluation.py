"""The evaluator against a slow one, against scikit-learn and against torchreid, and where it must differ."""

import importlib.metadata
import importlib.util
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from sttreid.retrieval import PROTOCOLS, Labels, evaluate, evaluate_distances, protocol
from sttreid.runtime.errors import InputError
from tests.retrieval.conftest import cosines, naive, problem, ranked_list

MARKET, MARS, DUKE = protocol("market"), protocol("mars-official"), protocol("duke-official")
EXACT = ("first_hit", "matches", "wrong", "identity", "camera", "query")


def both(sides, rules):
    """The result from features, which must agree with that from the matrix of their distances."""
    labels = sides.query, sides.gallery, rules
    result = evaluate(sides.query_features, sides.gallery_features, *labels)
    other = evaluate_distances(sides.distances, *labels)
    assert result.cmc == other.cmc
    assert (result.mAP, result.mINP) == pytest.approx((other.mAP, other.mINP), abs=1e-12)
    for column in EXACT:
        np.testing.assert_array_equal(result.per_query[column], other.per_query[column], err_msg=column)
    for column in ("ap", "inp", "best_match_distance", "best_wrong_distance"):
        np.testing.assert_allclose(result.per_query[column], other.per_query[column], atol=1e-8)
    return result


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rules=st.sampled_from(PROTOCOLS[:9]),
    queries=st.integers(1, 12),
    gallery=st.integers(1, 60),
    width=st.integers(1, 5),
    identities=st.integers(1, 8),
    cameras=st.integers(1, 4),
    levels=st.sampled_from([1, 2, 500]),
    junk=st.sampled_from([0.0, 0.2]),
)
def test_every_protocol_equals_the_slow_evaluator(seed, rules, queries, **shape):
    sides = problem(seed, queries, **shape)
    expected = None
    if (~sides.gallery.junk).any():
        expected = naive(sides.distances, sides.query, sides.gallery, rules)
    if expected is None:
        with pytest.raises(InputError, match=r"has a match in another camera|at least 1 query"):
            both(sides, rules)
        return
    (mean_ap, mean_inp, *cmc), counted = expected
    result = both(sides, rules)
    assert (result.mAP, result.mINP) == pytest.approx((mean_ap, mean_inp), abs=1e-12)
    assert result.cmc == pytest.approx(cmc, abs=1e-12)
    assert list(result.cmc) == sorted(result.cmc)
    table = result.per_query
    assert result.queries == counted == table["ap"].notna().sum()
    assert result.unmatched == (table["matches"] == 0).sum()
    assert result.gallery + result.left_out + result.junk == len(sides.gallery)
    for i, line in enumerate(sides.distances):
        expected_wrong = ranked_list(line, i, sides.query, sides.gallery, rules).best_wrong
        wrong = table["best_wrong"][i]
        assert (wrong == -1) == (expected_wrong == -1)
        if wrong >= 0:
            assert line[wrong] == line[expected_wrong]


def ranking(sides, i, rules):
    """What is ranked for query i: match or not, and similarities."""
    stays = ~sides.gallery.junk & ~(
        (sides.gallery.identity == sides.query.identity[i]) & (sides.gallery.camera == sides.query.camera[i])
    )
    similarity = cosines(sides.query_features[i : i + 1], sides.gallery_features)[0]
    return (sides.gallery.identity == sides.query.identity[i])[stays], similarity[stays]


def test_non_interpolated_average_precision_is_that_of_scikit_learn(crowd):
    table = both(crowd, MARKET).per_query
    for i, ap in enumerate(table["ap"]):
        assert ap == pytest.approx(average_precision_score(*ranking(crowd, i, MARKET)))


def test_trapezoid_average_precision_is_the_area_under_scikit_learns_precision_recall_curve(crowd):
    # so the three names in use, trapezoid, PR-AUC and the loop of MARS's code, mean the same number
    for rules in (MARS, DUKE):
        table = both(crowd, rules).per_query
        for i, ap in enumerate(table["ap"]):
            precision, recall, _ = precision_recall_curve(*ranking(crowd, i, rules))
            assert ap == pytest.approx(auc(recall, precision))


def test_a_ranking_worked_out_by_hand():
    # the query is identity 1 in camera 1; from near to far: itself, a negative, junk, a match, the same
    # camera, a negative, a match
    angles = np.array([0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gallery = Labels([1, 2, -1, 1, 1, 3, 1], [1, 1, 1, 2, 1, 1, 3], junk=np.arange(7) == 2)
    sides = (features[:1], features, Labels([1], [1]), gallery)
    plain, trapezoid = evaluate(*sides, MARKET), evaluate(*sides, MARS)
    row = {"query": 0, "identity": 1, "camera": 1, "matches": 2, "wrong": 2, "first_hit": 2}
    row |= {"ap": 0.5, "inp": 0.5, "best_match": 3, "best_wrong": 1}
    first = plain.per_query.to_dict("records")[0]
    assert {name: first[name] for name in row} == row
    assert first["best_match_distance"] == pytest.approx(1 - np.cos(0.2))
    assert first["best_wrong_distance"] == pytest.approx(1 - np.cos(0.1))
    assert (plain.rank1, plain.cmc[1], plain.mAP) == (0.0, 1.0, 0.5)
    assert trapezoid.mAP == pytest.approx(((0 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    assert (plain.gallery, plain.junk, plain.unmatched) == (6, 1, 0)


def test_a_result_says_what_it_depends_on(crowd):
    text = str(evaluate(crowd.query_features, crowd.gallery_features, crowd.query, crowd.gallery, MARS))
    for part in (
        "protocol mars-official",
        "96 queries counted",
        "0 without a match scored 0",
        "gallery 480",
        "0 junk removed",
        "trapezoid average precision",
        "same identity and camera",
        "pessimistic",
    ):
        assert part in text
    numbers = both(crowd, MARKET).numbers()
    rates = {"rank1", "rank5", "rank10", "rank20", "mAP", "mINP"}
    assert set(numbers) == rates | {"queries", "unmatched", "gallery", "distractors", "left_out", "junk"}
    assert {type(value) for value in numbers.values()} == {int, float}


def test_an_unmatched_query_is_left_out_or_scores_zero_in_every_metric_alike():
    # evaluators whose mAP and CMC have different denominators report a pair of numbers of two query sets
    features = np.eye(3)[[0, 0, 1]]
    labels = Labels([1, 1, 2], [1, 2, 1])
    dropped, zero = (evaluate(features, features, labels, labels, rules) for rules in (MARKET, MARS))
    assert (dropped.queries, dropped.unmatched, dropped.mAP, dropped.rank1, dropped.mINP) == (2, 1, 1, 1, 1)
    assert (zero.queries, zero.unmatched) == (3, 1)
    assert (zero.mAP, zero.rank1, zero.cmc[19], zero.mINP) == pytest.approx((2 / 3,) * 4)
    assert np.isnan(dropped.per_query["ap"][2])
    assert zero.per_query["ap"][2] == 0


@pytest.mark.parametrize("offset", [-3.0, 0.0, 5.0])
def test_distances_may_have_any_sign(crowd, offset):
    # a well-known metrics package drops matches whose score is not positive
    labels = crowd.query, crowd.gallery, MARKET
    expected = evaluate_distances(crowd.distances, *labels)
    assert evaluate_distances(crowd.distances + offset, *labels, tie=1e-12).mAP == pytest.approx(expected.mAP)


def test_a_small_gallery_has_a_monotone_curve_whatever_the_order_of_the_queries():
    sides = problem(3, queries=12, gallery=6, identities=3, junk=0.0)
    result = both(sides, MARS)
    assert len(result.cmc) == 20
    assert list(result.cmc) == sorted(result.cmc)
    assert result.cmc[5] == result.cmc[19]
    order = np.random.default_rng(0).permutation(12)
    sides.query_features, sides.query = sides.query_features[order], sides.query.take(order)
    assert both(sides, MARS).cmc == result.cmc


@pytest.mark.parametrize("seed", range(5))
def test_distractors_can_only_lower_or_keep_every_query(seed):
    sides = problem(seed, levels=2)
    rng = np.random.default_rng(seed)
    before = both(sides, MARKET)
    labels, more = sides.gallery, 25
    sides.gallery_features = np.concatenate([sides.gallery_features, sides.gallery_features[:more]])
    sides.gallery = Labels(
        np.append(labels.identity, rng.integers(100, 103, more)),
        np.append(labels.camera, rng.integers(0, 4, more)),
        np.append(labels.query, np.zeros(more, bool)),
        np.append(labels.distractor, np.ones(more, bool)),
        np.append(labels.junk, np.zeros(more, bool)),
    )
    after = both(sides, MARKET)
    assert (after.gallery, after.distractors) == (before.gallery + more, before.distractors + more)
    old, new = before.per_query, after.per_query
    assert (new["wrong"] == old["wrong"] + more).all()
    assert (new["first_hit"] >= old["first_hit"]).all()
    counted = old["ap"].notna()
    assert (new["ap"][counted] <= old["ap"][counted] + 1e-12).all()
    without = both(sides, protocol("no-distractors"))
    assert without.left_out == after.distractors
    assert without.distractors == 0


def torchreid_market():
    """torchreid's evaluator, from its file: the package imports much that is not needed here."""
    (path,) = [
        file for file in importlib.metadata.files("torchreid") if str(file).endswith("metrics/rank.py")
    ]
    spec = importlib.util.spec_from_file_location("torchreid_rank", path.locate())
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiled file that is missing
        spec.loader.exec_module(module)
    return module.eval_market1501


def torchreid_scores(distances, query, gallery, ranks=20):
    return torchreid_market()(
        distances, query.identity, gallery.identity, query.camera, gallery.camera, ranks
    )


def test_torchreid_agrees_where_nothing_ties(crowd):
    cmc, mean_ap = torchreid_scores(crowd.distances, crowd.query, crowd.gallery)
    result = both(crowd, MARKET)
    assert result.mAP == pytest.approx(mean_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-6)


def test_torchreid_drops_queries_without_a_match_as_the_protocol_market_does(crowd):
    crowd.query.identity[::3] = 900  # in no gallery entry
    cmc, mean_ap = torchreid_scores(crowd.distances, crowd.query, crowd.gallery)
    result = both(crowd, MARKET)
    assert (result.queries, result.unmatched) == (64, 32)
    assert result.mAP == pytest.approx(mean_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-6)


def test_torchreid_differs_on_ties_which_it_ranks_by_the_galleries_order(crowd):
    constant = np.zeros_like(crowd.distances)
    order = np.argsort(crowd.gallery.identity != crowd.query.identity[0], kind="stable")
    scores = {
        torchreid_scores(constant[:1], crowd.query.take(np.array([0])), crowd.gallery.take(o))[1]
        for o in (order, order[::-1])
    }
    assert max(scores) > 10 * min(scores)
    ours = {
        evaluate_distances(constant[:1], crowd.query.take(np.array([0])), crowd.gallery.take(o), MARKET).mAP
        for o in (order, order[::-1])
    }
    assert len(ours) == 1
    assert ours.pop() <= min(scores)


def test_torchreid_differs_on_nan_which_it_ranks_last(crowd):
    wrong = crowd.gallery.identity != crowd.query.identity[:, None]
    distances = np.where(wrong, np.nan, crowd.distances)
    assert torchreid_scores(distances, crowd.query, crowd.gallery)[1] == 1.0
    with pytest.raises(InputError, match="distances: row 0, column 12 must be finite, got nan"):
        evaluate_distances(distances, crowd.query, crowd.gallery, MARKET)


def test_torchreid_differs_on_galleries_smaller_than_the_curve():
    query, gallery = Labels([1, 2], [1, 1]), Labels([1, 2, 2, 3], [2, 1, 2, 2])
    distances = np.array([[0.3, 0.2, 0.4, 0.1], [0.3, 0.2, 0.1, 0.4]])
    with pytest.raises(ValueError, match="inhomogeneous"):
        torchreid_scores(distances, query, gallery)
    result = evaluate_distances(distances, query, gallery, MARKET)
    assert result.cmc == (0.5, 0.5, *([1.0] * 18))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, torch.float64, torch.bfloat16])
def test_a_matrix_may_have_any_floating_type(crowd, kind):
    coarse = np.round(crowd.distances * 64) / 64
    matrix = torch.from_numpy(coarse).to(kind) if isinstance(kind, torch.dtype) else coarse.astype(kind)
    labels = crowd.query, crowd.gallery, MARKET
    assert evaluate_distances(matrix, *labels) == evaluate_distances(coarse, *labels)


def test_options_may_be_numbers_of_numpy(crowd):
    sides = problem(8)
    labels = sides.query, sides.gallery, MARKET
    features = sides.query_features, sides.gallery_features
    expected = evaluate(*features, *labels, tie=0, threads=2)
    assert evaluate(*features, *labels, tie=np.int64(0), threads=np.int64(2)) == expected


def test_the_number_of_rows_ranked_at_once_changes_nothing(crowd, monkeypatch):
    labels = crowd.query, crowd.gallery, MARKET
    whole = evaluate_distances(crowd.distances, *labels)
    monkeypatch.setattr("sttreid.retrieval.ranking.QUERIES", 7)
    parts = evaluate_distances(crowd.distances, *labels)
    assert parts == whole
    assert parts.per_query.equals(whole.per_query)


def test_ties_of_distances_are_those_within_the_stated_difference():
    labels = Labels([1], [1]), Labels([1, 2], [2, 2]), MARKET
    distances = np.array([[0.5, 0.5 + 1e-7]])
    assert evaluate_distances(distances, *labels).rank1 == 1
    assert evaluate_distances(distances, *labels, tie=1e-6).rank1 == 0
    assert evaluate_distances(np.array([[0.5, 0.5]]), *labels, tie=0).rank1 == 0
    with pytest.raises(InputError, match="tie must be at least 0"):
        evaluate_distances(distances, *labels, tie=-1e-9)


@pytest.mark.parametrize(("row", "value"), [(0, np.nan), (300, np.inf), (300, -np.inf)])
def test_a_distance_that_is_not_finite_is_refused_with_its_place(row, value):
    distances = np.ones((301, 3))
    distances[row, 2] = value
    sides = Labels(np.zeros(301, int), np.zeros(301, int)), Labels([0, 0, 1], [0, 1, 0])
    with pytest.raises(InputError, match=f"row {row}, column 2 must be finite, got {value}"):
        evaluate_distances(distances, *sides, MARKET)


def test_distances_to_junk_are_not_read(crowd):
    crowd.gallery.junk[::7] = True
    labels = crowd.query, crowd.gallery, MARKET
    expected = evaluate_distances(crowd.distances, *labels)
    assert evaluate_distances(np.where(crowd.gallery.junk, np.nan, crowd.distances), *labels) == expected
    distances = crowd.distances.copy()
    distances[3, 8] = np.nan
    with pytest.raises(InputError, match="distances: row 3, column 8 must be finite, got nan"):
        evaluate_distances(distances, *labels)


def test_a_matrix_of_another_shape_is_refused():
    sides = Labels([1], [1]), Labels([1, 2], [2, 2])
    with pytest.raises(
        InputError, match=r"1 queries and 2 gallery tracklets need \(1, 2\) distances, got \(2, 1\)"
    ):
        evaluate_distances(np.ones((2, 1)), *sides, MARKET)


def test_sides_that_do_not_fit_are_refused():
    sides = problem(8)
    labels = sides.query, sides.gallery, MARKET
    with pytest.raises(InputError, match="must be equally wide, got 6 and 4 columns"):
        evaluate(sides.query_features, sides.gallery_features[:, :4], *labels)
    with pytest.raises(InputError, match="30 query labels need as many features, got 29"):
        evaluate(sides.query_features[:29], sides.gallery_features, *labels)
    with pytest.raises(InputError, match="80 gallery labels need as many features, got 81"):
        evaluate(sides.query_features, np.ones((81, 6)), *labels)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"tie": -1.0}, "tie must be at least 0 and finite, got -1.0"),
        ({"tie": float("inf")}, "tie must be at least 0 and finite, got inf"),
        ({"tie": float("nan")}, "tie must be at least 0 and finite, got nan"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    sides = problem(8)
    with pytest.raises(InputError, match=words):
        evaluate(sides.query_features, sides.gallery_features, sides.query, sides.gallery, MARKET, **options)


def test_identities_cameras_and_the_name_of_a_protocol_are_enough(crowd):
    query, gallery = ((side.identity, side.camera) for side in (crowd.query, crowd.gallery))
    features = crowd.query_features, crowd.gallery_features
    expected = evaluate(*features, crowd.query, crowd.gallery, MARS)
    assert evaluate(*features, query, gallery, "mars-official") == expected
    expected = evaluate_distances(crowd.distances, crowd.query, crowd.gallery, MARKET)
    assert evaluate_distances(crowd.distances, query, gallery) == expected
    with pytest.raises(InputError, match=r"the protocol must be one of .*, got 'mars'"):
        evaluate(*features, query, gallery, "mars")


@pytest.mark.parametrize("name", ["ilids-3", "prid-10"])
def test_two_camera_protocols_rank_the_other_camera_only(name):
    sides = problem(2, cameras=2)
    rule = protocol(name)
    (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, rule)
    assert both(sides, rule).mAP == pytest.approx(mean_ap)


def test_nothing_to_score_is_refused():
    labels = Labels([1, 2], [1, 1])
    with pytest.raises(InputError, match="market: none of the 2 queries has a match in another camera"):
        evaluate(np.eye(2), np.eye(2), labels, labels, MARKET)


def test_cameras_belong_to_their_queries_in_every_part_of_a_matrix():
    sides = problem(5, queries=300, gallery=60, cameras=2)
    both(sides, protocol("ilids-1"))  # more queries than are ranked at once


def test_the_numbers_of_a_result_are_those_of_its_curve(crowd):
    result = both(crowd, MARKET)
    numbers = result.numbers()
    first = result.per_query["first_hit"]
    for k in (1, 5, 10, 20):
        assert numbers[f"rank{k}"] == (first <= k).mean()
        assert f"rank-{k} {100 * (first <= k).mean():.2f}" in str(result)
