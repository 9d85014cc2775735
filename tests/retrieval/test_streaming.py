"""Ranks do not depend on tiles, threads, types or the order of rows, and are those of double precision."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from sttreid.retrieval import counting, evaluate, evaluate_distances, protocol, streaming
from sttreid.retrieval.features import FeatureRows
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import EMBEDDED, MARKET
from sttreid.runtime.errors import InputError
from tests.retrieval.conftest import Problem, cosines, naive, problem


@pytest.fixture
def small(monkeypatch):
    """Tiles of a few rows, so that small problems have many."""
    monkeypatch.setattr(streaming, "QUERIES", 7)
    monkeypatch.setattr(streaming, "TILE", 8)
    monkeypatch.setattr(streaming, "HELD", 14)
    monkeypatch.setattr(streaming, "PAIRS", 3)
    monkeypatch.setattr(counting, "LINES", 3)


def score(sides, **options):
    return evaluate(
        sides.query_features, sides.gallery_features, sides.query, sides.gallery, MARKET, **options
    )


def assert_same(result, other):
    assert result == other
    assert result.per_query.equals(other.per_query)


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_threads_changes_no_bit(small, seed, levels):
    sides = problem(seed, levels=levels)
    expected = score(sides)
    for threads in (1, 2, 5, 100):
        assert_same(score(sides, threads=threads), expected)


@pytest.mark.parametrize(("queries", "tile", "held"), [(1, 1, 1), (3, 5, 6), (100, 100, 100)])
def test_tiles_of_other_sizes_give_the_same_ranks(small, monkeypatch, queries, tile, held):
    sides = problem(6, levels=2)
    expected = score(sides)
    monkeypatch.setattr(streaming, "QUERIES", queries)
    monkeypatch.setattr(streaming, "TILE", tile)
    monkeypatch.setattr(streaming, "HELD", held)
    table = score(sides).per_query
    for column in ("first_hit", "ap", "inp", "matches", "wrong", "best_match", "best_wrong"):
        np.testing.assert_array_equal(table[column], expected.per_query[column])


def duplicated(width):
    """Each identity has the same feature in two cameras; so has another identity.

    The other identities are at the end of the gallery: equal rows are in different tiles.
    """
    rng = np.random.default_rng(width)
    rows = rng.random((50, width)).astype(np.float32) + 0.1
    features = np.concatenate([rows, rows, rows * rng.uniform(0.5, 2, (50, 1))]).astype(np.float32)
    identity = np.concatenate([np.arange(50), np.arange(50), np.arange(50) + 1000])
    return rows, features, Labels(np.arange(50), np.full(50, 1)), Labels(identity, np.repeat([1, 2, 3], 50))


@pytest.mark.parametrize("gallery", [1023, 1024, 1025, 2049])
def test_equal_rows_on_both_sides_of_the_edges_of_tiles(gallery):
    rng = np.random.default_rng(gallery)
    base = rng.standard_normal((40, 8)).astype(np.float32)
    sides = Problem(
        np.asfortranarray(base[rng.integers(0, 40, 4)]),
        base[rng.integers(0, 40, gallery)],
        Labels(rng.integers(0, 9, 4), rng.integers(0, 3, 4)),
        Labels(rng.integers(0, 9, gallery).astype(np.int8), rng.integers(0, 3, gallery).astype(np.uint16)),
    )
    (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, MARKET)
    assert score(sides).mAP == pytest.approx(mean_ap, abs=1e-12)


@pytest.mark.parametrize("width", [1, 3, 64, 1001])
def test_equal_rows_in_different_tiles_are_ties_and_the_negative_ranks_first(small, width):
    result = evaluate(*duplicated(width), EMBEDDED)
    assert (result.per_query["first_hit"] >= 2).all()
    assert result.rank1 == 0
    np.testing.assert_allclose(result.per_query["best_wrong_distance"], 0, atol=1e-12)


CROWDED = [0, 1, 32]  # all doubts pair by pair; some whole rows; nearly all rows as a whole


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("crowded", CROWDED)
def test_of_equally_near_entries_the_first_is_named(small, monkeypatch, threads, crowded):
    monkeypatch.setattr(counting, "CROWDED", crowded)
    features = np.repeat(np.eye(2), [1, 40], axis=0)
    features[5::2] = [0.8, 0.6]
    labels = Labels([1, 1, *range(2, 41)], np.arange(41) % 2)
    result = evaluate(features[:1], features, labels.take(np.array([0])), labels, EMBEDDED, threads=threads)
    assert result.per_query["best_wrong"].tolist() == [5]
    rng = np.random.default_rng(0)
    parallel = rng.standard_normal(33) * rng.uniform(0.5, 2, (20, 1))  # equal but for rounding
    query, gallery = Labels([1], [1]), Labels([2, 1, 1, 1, *range(3, 19)], np.full(20, 2))
    for result in (
        evaluate(rng.standard_normal((1, 33)), parallel, query, gallery, MARKET, threads=threads),
        evaluate_distances(np.ones((1, 20)), query, gallery, MARKET),
    ):
        assert result.per_query["best_match"].tolist() == [1]
        assert result.per_query["best_wrong"].tolist() == [0]


def close_by(seed, count, width=64):
    """A query and a gallery at angles 1e-8 apart, each turned in a direction of its own.

    Their similarities are 5e-9 apart, and single precision is off by more, for each by another amount.
    """
    rng = np.random.default_rng(seed)
    base = np.eye(width)[0]
    angles = 0.5 + 1e-8 * rng.permutation(count)
    sides = rng.standard_normal((count, width)) * (1 - base)
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    rows = np.cos(angles)[:, None] * base + np.sin(angles)[:, None] * sides
    return base[None] @ turn, rows @ turn, angles


@pytest.mark.parametrize("crowded", CROWDED)
def test_what_single_precision_cannot_order_is_ordered_by_double(small, monkeypatch, crowded):
    monkeypatch.setattr(counting, "CROWDED", crowded)
    for seed, count in itertools.product(range(10), (3, 40)):
        query, rows, angles = close_by(seed, count)
        gallery = Labels(np.arange(1, count + 1), np.full(count, 2))
        table = evaluate(query, rows, Labels([1], [1]), gallery, MARKET, tie=0).per_query
        nearest = 1 + int(angles[1:].argmin())
        assert table["best_wrong"].tolist() == [nearest]
        assert table["best_wrong_distance"][0] == pytest.approx(1 - np.cos(angles[nearest]), abs=1e-13)
        assert table["first_hit"].tolist() == [1 + int((angles < angles[0]).sum())]


@pytest.mark.parametrize("crowded", CROWDED)
def test_without_tolerance_equal_entries_are_still_ties(small, monkeypatch, crowded):
    monkeypatch.setattr(counting, "CROWDED", crowded)
    corners = np.eye(4)[np.arange(80) % 4] * 2.0  # their cosines are exactly 0 and 1
    query = Labels(np.arange(40), np.full(40, 2))
    gallery = Labels(np.append(np.arange(40), np.arange(40) + 100), np.arange(80) // 40)
    result = evaluate(corners[:40], corners, query, gallery, EMBEDDED, tie=0)
    assert (result.per_query["first_hit"] == 20).all()  # after 9 + 10 others of its corner


# Widths at which NumPy's products of equal rows rounded in step: the first four by 8 units in the last place.
@pytest.mark.parametrize("width", [367, 391, 411, 433, 300, 384, 459, 512, 1024, 1025, 2048])
@pytest.mark.parametrize("pattern", ["ones", "signs", "one column"])
def test_systematic_rounding_makes_no_ranks(width, pattern):
    row = np.ones(width, np.float32)
    if pattern == "signs":
        row = np.sign(np.random.default_rng(width).standard_normal(width)).astype(np.float32)
    if pattern == "one column":
        row[1:] = 1e-4
    labels = Labels(np.arange(400) // 4, np.arange(400) % 4)
    features = np.tile(row, (400, 1))
    for scaled in (features, features * np.linspace(0.5, 2, 400, dtype=np.float32)[:, None]):
        result = evaluate(scaled, scaled, labels, labels, MARKET)
        assert result.mAP < 0.01
        assert result.cmc == (0.0,) * 20


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["market", "mars-official", "duke-official", "minus-queries", "ilids-2", "prid-3"]),
    queries=st.integers(1, 25),
    gallery=st.integers(10, 60),
    width=st.integers(1, 5),
    cameras=st.integers(2, 4),
    levels=st.sampled_from([1, 2, 500]),
    threads=st.integers(1, 3),
)
def test_many_small_tiles_equal_the_slow_evaluator(small, seed, name, queries, gallery, threads, **shape):
    sides = problem(seed, queries, gallery, **shape)
    labels = sides.query, sides.gallery, protocol(name)
    expected = naive(sides.distances, *labels)
    assume(expected is not None)
    (mean_ap, mean_inp, *cmc), _ = expected
    result = evaluate(sides.query_features, sides.gallery_features, *labels, threads=threads)
    assert (result.mAP, result.mINP) == pytest.approx((mean_ap, mean_inp), abs=1e-12)
    assert result.cmc == pytest.approx(cmc, abs=1e-12)


def test_identities_with_more_tracklets_than_are_compared_at_once(small):
    sides = problem(2, queries=60, gallery=150, identities=4)
    (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, MARKET)
    assert score(sides).mAP == pytest.approx(mean_ap, abs=1e-12)


@pytest.mark.parametrize("width", [1, 7, 128, 1001])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_a_constant_embedding_scores_near_zero_in_any_order(small, width, noise):
    rng = np.random.default_rng(width)
    labels = Labels(np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40))
    features = (rng.random(width) + 0.1) * (1 + noise * rng.standard_normal((120, width)))
    for order in (np.arange(120), rng.permutation(120)):
        rows, moved = features[order].astype(np.float32), labels.take(order)
        result = evaluate(rows, rows, moved, moved, EMBEDDED)
        assert result.cmc == (0.0,) * 20
        assert result.mAP == pytest.approx(np.mean([1 / 118, 2 / 119]))


def test_differences_far_below_single_precision_decide_a_rank(small):
    # a match and a negative whose similarities differ by 1e-8: rounding noise in single precision
    rng = np.random.default_rng(0)
    base, side = np.linalg.qr(rng.standard_normal((64, 2)))[0].T
    match, farther, nearer = (np.cos(a) * base + np.sin(a) * side for a in (0.5, 0.5 + 1e-8, 0.5 - 1e-8))
    query, gallery = Labels([1], [1]), Labels([1, 2], [2, 2])
    for negative, rank in ((farther, 1), (nearer, 2)):
        result = evaluate(base[None], np.stack([match, negative]), query, gallery, EMBEDDED)
        assert result.per_query["first_hit"].tolist() == [rank]
    tied = evaluate(base[None], np.stack([match, farther]), query, gallery, EMBEDDED, tie=1e-7)
    assert tied.per_query["first_hit"].tolist() == [2]


def watched(monkeypatch, calls):
    """Note what double precision computes: the pairs of each query, or the shape of a whole tile."""
    cosines_of, unit64 = counting.cosines, FeatureRows.unit64

    def pairs(queries, gallery, query, column):
        calls.append(("pairs", len(query)))
        return cosines_of(queries, gallery, query, column)

    def rows(side, index):
        calls.append(("rows", len(index)))
        return unit64(side, index)

    monkeypatch.setattr(counting, "cosines", pairs)
    monkeypatch.setattr(FeatureRows, "unit64", rows)


def test_crowded_tiles_are_computed_again_as_a_whole(small, monkeypatch):
    # a cluster so tight that single precision sees one point: some tiles are crowded, others are not
    rng = np.random.default_rng(1)
    features = rng.standard_normal((160, 16))
    features[::2] = features[0] * (1 + 1e-5 * rng.standard_normal((80, 16)))
    labels = Labels(rng.integers(0, 20, 160), rng.integers(0, 4, 160))
    sides = (features, features, labels, labels)
    calls = []
    watched(monkeypatch, calls)
    by_tiles = evaluate(*sides, EMBEDDED, tie=0)
    whole = calls.count(("rows", streaming.TILE))
    calls.clear()
    monkeypatch.setattr(counting, "CROWDED", 0)  # never: all doubts pair by pair
    by_pairs = evaluate(*sides, EMBEDDED, tie=0)
    assert whole > calls.count(("rows", streaming.TILE))
    other = labels.identity != labels.identity[:, None]
    distances = 1 - cosines(features, features) - counting.NOISE * other  # ties within the rounding
    (mean_ap, *_), _ = naive(distances, labels, labels, EMBEDDED)
    assert by_tiles.mAP == pytest.approx(mean_ap, abs=1e-12)
    assert by_tiles.per_query["ap"].equals(by_pairs.per_query["ap"])


def test_doubts_are_few_where_they_are_decided_pair_by_pair(small, monkeypatch):
    # without signal every match has negatives nearby: many in some rows, though few per match
    rng = np.random.default_rng(0)
    labels = Labels(rng.integers(0, 40, 400), rng.integers(0, 4, 400))
    features = rng.standard_normal((400, 2048)).astype(np.float32)
    calls = []
    monkeypatch.setattr(counting, "LINES", 10**6)
    monkeypatch.setattr(streaming, "QUERIES", 40)
    monkeypatch.setattr(streaming, "TILE", 64)
    watched(monkeypatch, calls)
    evaluate(features[:40], features, labels.take(np.arange(40)), labels, EMBEDDED)
    assert 0 < max(count for kind, count in calls if kind == "pairs") <= 40 * 64 / counting.CROWDED


def test_the_order_of_the_gallery_changes_no_rank(small):
    sides = problem(9, levels=2)
    expected = score(sides)
    order = np.random.default_rng(1).permutation(len(sides.gallery))
    sides.gallery_features, sides.gallery = sides.gallery_features[order], sides.gallery.take(order)
    moved = score(sides)
    assert (moved.cmc, moved.metrics) == (expected.cmc, expected.metrics)


def test_arrays_maps_and_tensors_give_the_same_result(small, tmp_path):
    sides = problem(3)
    sides.query_features = sides.query_features.astype(np.float32)
    sides.gallery_features = sides.gallery_features.astype(np.float32)
    expected = score(sides)
    np.save(tmp_path / "gallery.npy", sides.gallery_features)
    original = sides.gallery_features
    for other in (np.load(tmp_path / "gallery.npy", mmap_mode="r"), torch.from_numpy(original)):
        sides.gallery_features = other
        assert_same(score(sides), expected)


@contextmanager
def single_precision(value):
    """The process's setting for products in single precision on CUDA, restored afterwards."""
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, value
    try:
        yield
    finally:
        matmul.fp32_precision = before


@pytest.mark.parametrize("allowed", ["tf32", "ieee"])
def test_cuda_computes_in_true_single_precision_whatever_the_program_allows(allowed):
    with single_precision(allowed):
        with streaming._process_settings(torch.device("cuda")):
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == allowed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", ["market", "ilids-1", "mars-official"])
def test_cuda_gives_the_result_of_the_cpu(small, name):
    sides = problem(5, levels=2)
    labels = sides.query, sides.gallery, protocol(name)
    features = [torch.from_numpy(rows) for rows in (sides.query_features, sides.gallery_features)]
    expected = evaluate(*features, *labels)
    assert_same(evaluate(*(rows.cuda() for rows in features), *labels), expected)


class OnDevice(torch.Tensor):
    """A tensor that says it is on a CUDA device."""

    device = torch.device("cuda")


@pytest.mark.parametrize("name", ["market", "ilids-1", "mars-official"])
def test_the_products_of_a_device_give_the_same_result(small, monkeypatch, name):
    sides = problem(5, levels=2)
    labels = sides.query, sides.gallery, protocol(name)
    expected = evaluate(sides.query_features, sides.gallery_features, *labels)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, _: tensor)  # no device is needed
    there = torch.from_numpy(sides.query_features).as_subclass(OnDevice)
    assert_same(evaluate(there, sides.gallery_features, *labels), expected)


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_products_run_on_one_blas_thread_each(small, monkeypatch):
    seen, count = set(), streaming._count
    streaming._blas.cache_clear()  # SciPy has another BLAS, which the products do not use
    monkeypatch.setattr(streaming, "_count", lambda *task: seen.update(blas_threads()) or count(*task))
    with threadpool_limits(3, user_api="blas"):
        score(problem(3))
        assert seen == {1}
        assert blas_threads() == {3}


def test_concurrent_calls_take_turns_and_restore_the_settings(small, monkeypatch):
    problems = [problem(seed) for seed in range(6)]
    expected = [score(sides) for sides in problems]
    inside, together, count, process_settings = [], [], streaming._count, streaming._process_settings

    def seen(*task):
        together.append(len(inside))
        count(*task)

    @contextmanager
    def counted(device):
        with process_settings(device) as threads:
            inside.append(device)
            yield threads
            inside.pop()

    monkeypatch.setattr(streaming, "_count", seen)
    monkeypatch.setattr(streaming, "_process_settings", counted)
    before = blas_threads()
    with ThreadPoolExecutor(6) as pool:
        for result, other in zip(pool.map(score, problems), expected, strict=True):
            assert_same(result, other)
    assert set(together) == {1}
    assert blas_threads() == before


def test_junk_is_never_read(small):
    sides = problem(4, junk=0.3)
    expected = score(sides)
    sides.gallery_features[sides.gallery.junk] = np.nan
    assert_same(score(sides), expected)


@pytest.mark.parametrize(("side", "row"), [("query", 17), ("gallery", 71)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_with_its_row(small, side, row, value):
    sides = problem(8, junk=0.0)
    getattr(sides, f"{side}_features")[row, 1] = value
    with pytest.raises(InputError, match=f"{side} feature, row {row}: must be finite"):
        score(sides)


@pytest.mark.parametrize("tie", [10.0, 1e39, 1e300])
def test_a_tie_wider_than_all_differences_puts_every_negative_first(small, tie):
    table = score(problem(3), tie=tie).per_query
    matched = table["matches"] > 0
    assert (table["first_hit"][matched] == table["wrong"][matched] + 1).all()
    labels = Labels([1], [1]), Labels([1, 2, 1], [2, 2, 1])
    table = evaluate_distances(np.array([[1.7e308, 1.0, 0.0]]), *labels, MARKET, tie=1e308).per_query
    assert table["first_hit"].tolist() == [2]
