"""Ranks do not depend on how the gallery is cut, on threads, on types or on the order of rows."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from sttreid.retrieval import evaluate, evaluate_distances, evaluation, ranks, tiles
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import EMBEDDED, MARKET, protocol
from sttreid.runtime.errors import InputError
from tests.retrieval.conftest import Problem, cosines, naive, problem


@pytest.fixture
def small(monkeypatch):
    """Tiles of a few rows, so that small problems have many."""
    monkeypatch.setattr(ranks, "ASKING", 7)
    monkeypatch.setattr(ranks, "TILE", 8)
    monkeypatch.setattr(ranks, "HELD", 2)
    monkeypatch.setattr(tiles, "LINES", 3)
    monkeypatch.setattr(ranks, "ROOMY", 20)


def score(sides, **options):
    return evaluate(
        sides.query_features, sides.gallery_features, sides.query, sides.gallery, MARKET, **options
    )


def same(one, other):
    assert one == other
    assert one.per_query.equals(other.per_query)


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_the_block_length_changes_no_bit(small, seed, levels):
    sides = problem(seed, levels=levels)
    whole = score(sides, block=10**6)
    for block in (1, 8, 9, 24, 79):
        same(score(sides, block=block), whole)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit(small, monkeypatch, threads):
    sides = problem(5)
    expected = score(sides)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    same(score(sides), expected)


def test_tiles_of_other_sizes_give_the_same_ranks(small, monkeypatch):
    sides = problem(6, levels=2)
    expected = score(sides)
    for asking, tile in ((1, 1), (3, 5), (100, 100)):
        monkeypatch.setattr(ranks, "ASKING", asking)
        monkeypatch.setattr(ranks, "TILE", tile)
        table = score(sides).per_query
        for column in ("first_hit", "ap", "inp", "matches", "wrong", "best_match"):
            np.testing.assert_array_equal(table[column], expected.per_query[column])


def duplicated(width, noise=0.0):
    """Every person stands before two cameras with one and the same feature; so does a double of theirs.

    The doubles stand at the far end of the gallery: equal rows lie in different tiles.
    """
    rng = np.random.default_rng(width)
    rows = rng.random((50, width)).astype(np.float32) + 0.1
    features = np.concatenate([rows, rows, rows * rng.uniform(0.5, 2, (50, 1))]).astype(np.float32)
    features[100:] += noise
    identity = np.concatenate([np.arange(50), np.arange(50), np.arange(50) + 1000])
    camera = np.repeat([1, 2, 3], 50)
    return rows, features, Labels(np.arange(50), np.full(50, 1)), Labels(identity, camera)


@pytest.mark.parametrize("gallery", [1023, 1024, 1025, 2049])
def test_galleries_around_whole_tiles_hold_equal_rows_on_both_sides(gallery):
    rng = np.random.default_rng(gallery)
    base = rng.standard_normal((40, 8)).astype(np.float32)
    sides = Problem(
        np.asfortranarray(base[rng.integers(0, 40, 4)]),
        base[rng.integers(0, 40, gallery)],
        Labels(rng.integers(0, 9, 4), rng.integers(0, 3, 4)),
        Labels(rng.integers(0, 9, gallery).astype(np.int8), rng.integers(0, 3, gallery).astype(np.uint16)),
    )
    (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, MARKET)
    expected = score(sides)
    assert expected.mAP == pytest.approx(mean_ap, abs=1e-12)
    for block in (1, 1024, 5000):
        same(score(sides, block=block), expected)


@pytest.mark.parametrize("width", [1, 3, 64, 1001])
def test_equal_rows_in_different_tiles_are_ties_and_the_wrong_one_ranks_first(small, width):
    query_features, features, query, gallery = duplicated(width)
    for block in (8, 160):
        result = evaluate(query_features, features, query, gallery, EMBEDDED, block=block)
        assert (result.per_query["first_hit"] >= 2).all()
        assert result.rank1 == 0
        np.testing.assert_allclose(result.per_query["best_wrong_distance"], 0, atol=1e-12)


CROWDED = [0, 1, 32]  # all pairs one by one; some whole rows; nearly all rows as a whole


@pytest.mark.parametrize("block", [1, 24, None])
@pytest.mark.parametrize("crowded", CROWDED)
def test_the_first_of_equally_near_answers_is_told(small, monkeypatch, block, crowded):
    monkeypatch.setattr(tiles, "CROWDED", crowded)
    features = np.repeat(np.eye(2), [1, 40], axis=0)
    features[5::2] = [0.8, 0.6]
    labels = Labels([1, 1, *range(2, 41)], np.arange(41) % 2)
    result = evaluate(features[:1], features, labels.take(np.array([0])), labels, EMBEDDED, block=block)
    assert result.per_query["best_wrong"].tolist() == [5]
    rng = np.random.default_rng(0)
    alike = rng.standard_normal(33) * rng.uniform(0.5, 2, (20, 1))  # equal but for rounding
    there = Labels([2, 1, 1, 1, *range(3, 19)], np.full(20, 2))
    asks = Labels([1], [1])
    for found in (
        evaluate(rng.standard_normal((1, 33)), alike, asks, there, MARKET, block=block),
        evaluate_distances(np.ones((1, 20)), asks, there, MARKET),
    ):
        assert found.per_query["best_match"].tolist() == [1]
        assert found.per_query["best_wrong"].tolist() == [0]


def close_by(seed, count, width=64):
    """A query and answers at angles a millionth of a degree apart, each turned in a direction of its own.

    Their similarities are 5e-9 apart, and single precision is off by more than that, for each by another bit.
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
def test_answers_that_single_precision_cannot_tell_apart_are_ranked_by_double(small, monkeypatch, crowded):
    monkeypatch.setattr(tiles, "CROWDED", crowded)
    for seed, count in itertools.product(range(10), (3, 40)):
        query, rows, angles = close_by(seed, count)
        gallery = Labels(np.arange(1, count + 1), np.full(count, 2))
        found = evaluate(query, rows, Labels([1], [1]), gallery, MARKET, tie=0).per_query
        nearest = 1 + int(angles[1:].argmin())
        assert found["best_wrong"].tolist() == [nearest]
        assert found["best_wrong_distance"][0] == pytest.approx(1 - np.cos(angles[nearest]), abs=1e-13)
        assert found["first_hit"].tolist() == [1 + int((angles < angles[0]).sum())]


@pytest.mark.parametrize("crowded", CROWDED)
def test_without_any_tolerance_equal_answers_are_still_ties(small, monkeypatch, crowded):
    monkeypatch.setattr(tiles, "CROWDED", crowded)
    corners = np.eye(4)[np.arange(80) % 4] * 2.0  # their cosines are exactly 0 and 1
    labels = Labels(np.arange(80) // 2, np.arange(80) // 40)
    asked = Labels(np.arange(40), np.full(40, 2))
    answers = Labels(np.append(np.arange(40), np.arange(40) + 100), labels.camera)
    result = evaluate(corners[:40], corners, asked, answers, EMBEDDED, tie=0)
    assert (result.per_query["first_hit"] == 20).all()  # 9 others of its corner, 10 doubles, itself


# Widths at which NumPy's products of alike rows rounded in step: the first four by 8 units in the last place.
@pytest.mark.parametrize("width", [367, 391, 411, 433, 300, 384, 459, 512, 1024, 1025, 2048])
@pytest.mark.parametrize("pattern", ["ones", "signs", "one column"])
def test_rounding_in_step_makes_no_ranks(width, pattern):
    row = np.ones(width, np.float32)
    if pattern == "signs":
        row = np.sign(np.random.default_rng(width).standard_normal(width)).astype(np.float32)
    if pattern == "one column":
        row[1:] = 1e-4
    labels = Labels(np.arange(400) // 4, np.arange(400) % 4)
    features = np.tile(row, (400, 1))
    for device_like in (features, features * np.linspace(0.5, 2, 400, dtype=np.float32)[:, None]):
        result = evaluate(device_like, device_like, labels, labels, MARKET)
        assert result.mAP < 0.01
        assert result.cmc == (0.0,) * 20


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    rules=st.sampled_from(["market", "mars-official", "duke-official", "minus-queries", "ilids-2", "prid-3"]),
    queries=st.integers(1, 25),
    gallery=st.integers(10, 60),
    width=st.integers(1, 5),
    cameras=st.integers(2, 4),
    levels=st.sampled_from([1, 2, 500]),
    block=st.integers(1, 70),
)
def test_many_small_tiles_equal_the_walk_down_each_ranking(small, seed, rules, block, **shape):
    sides = problem(seed, **shape)
    labels = sides.query, sides.gallery, protocol(rules)
    expected = naive(sides.distances, *labels)
    assume(expected is not None)
    (mean_ap, mean_inp, *cmc), _ = expected
    result = evaluate(sides.query_features, sides.gallery_features, *labels, block=block)
    assert (result.mAP, result.mINP) == pytest.approx((mean_ap, mean_inp), abs=1e-12)
    assert result.cmc == pytest.approx(cmc, abs=1e-12)


def test_groups_of_queries_with_many_matches_hold_few_of_them(monkeypatch):
    counts = np.array([3, 0, 40, 41, 2, 1, 300, 299, 5])
    monkeypatch.setattr(ranks, "ROOMY", 100)
    groups = list(ranks._groups(np.arange(counts.sum()) / 1000, counts, 8))
    assert sorted(np.concatenate([group.queries for group in groups])) == list(range(9))
    for group in groups:
        assert group.match.size <= 100 or len(group.queries) == 1
        assert np.array_equal((group.match >= 0).sum(axis=1), counts[group.queries])
    match = np.concatenate([group.match[group.match >= 0] for group in groups])
    assert sorted(match) == list(range(counts.sum()))


def test_people_with_more_tracklets_than_are_compared_at_once(small, monkeypatch):
    monkeypatch.setattr(ranks, "LINES", 3)
    sides = problem(2, queries=60, gallery=150, people=4)
    (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, MARKET)
    assert score(sides).mAP == pytest.approx(mean_ap, abs=1e-12)


@pytest.mark.parametrize("width", [1, 7, 128, 1001])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_a_constant_embedding_scores_near_nothing_whatever_the_order(small, width, noise):
    rng = np.random.default_rng(width)
    labels = Labels(np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40))
    features = (rng.random(width) + 0.1) * (1 + noise * rng.standard_normal((120, width)))
    for order in (np.arange(120), rng.permutation(120)):
        moved = labels.take(order)
        result = evaluate(
            features[order].astype(np.float32), features[order].astype(np.float32), moved, moved, EMBEDDED
        )
        assert result.cmc == (0.0,) * 20
        assert result.mAP == pytest.approx(np.mean([1 / 118, 2 / 119]))


def test_differences_far_below_single_precision_decide_a_rank(small):
    # a right and a wrong answer whose similarities differ by 1e-8: rounding noise in single precision
    rng = np.random.default_rng(0)
    base, side = np.linalg.qr(rng.standard_normal((64, 2)))[0].T
    turned = [np.cos(a) * base + np.sin(a) * side for a in (0.5, 0.5 + 1e-8, 0.5 - 1e-8)]
    query, gallery = Labels([1], [1]), Labels([1, 2], [2, 2])
    for wrong, rank in ((turned[1], 1), (turned[2], 2)):
        result = evaluate(base[None], np.stack([turned[0], wrong]), query, gallery, EMBEDDED)
        assert result.per_query["first_hit"].tolist() == [rank]
    tied = evaluate(base[None], np.stack([turned[0], turned[1]]), query, gallery, EMBEDDED, tie=1e-7)
    assert tied.per_query["first_hit"].tolist() == [2]


def test_rows_close_to_many_matches_are_computed_again_as_a_whole(small, monkeypatch):
    # a cluster so tight that single precision sees one point: some rows are crowded, others are not
    rng = np.random.default_rng(1)
    features = rng.standard_normal((160, 16))
    features[::2] = features[0] * (1 + 1e-5 * rng.standard_normal((80, 16)))
    labels = Labels(rng.integers(0, 20, 160), rng.integers(0, 4, 160))
    sides = (features, features, labels, labels)
    again, calls = tiles.Counter._count_again, []
    monkeypatch.setattr(tiles.Counter, "_count_again", lambda *a: calls.append(1) or again(*a))
    by_rows = evaluate(*sides, EMBEDDED, tie=0)
    assert calls
    monkeypatch.setattr(tiles, "CROWDED", 0)  # never: all doubtful pairs one by one
    calls.clear()
    singly = evaluate(*sides, EMBEDDED, tie=0)
    assert not calls
    strangers = labels.identity != labels.identity[:, None]
    distances = 1 - cosines(features, features) - tiles.NOISE * strangers  # ties within the rounding
    (mean_ap, *_), _ = naive(distances, labels, labels, EMBEDDED)
    assert by_rows.mAP == pytest.approx(mean_ap, abs=1e-12)
    assert by_rows.per_query["ap"].equals(singly.per_query["ap"])


def test_the_order_of_the_gallery_changes_no_rank(small):
    sides = problem(9, levels=2)
    expected = score(sides)
    order = np.random.default_rng(1).permutation(len(sides.gallery))
    sides.gallery_features, sides.gallery = sides.gallery_features[order], sides.gallery.take(order)
    moved = score(sides)
    assert (moved.cmc, moved.mAP, moved.mINP) == (expected.cmc, expected.mAP, expected.mINP)


def test_arrays_maps_and_tensors_give_the_same_result(small, tmp_path):
    sides = problem(3)
    sides.query_features = sides.query_features.astype(np.float32)
    sides.gallery_features = sides.gallery_features.astype(np.float32)
    expected = score(sides)
    np.save(tmp_path / "gallery.npy", sides.gallery_features)
    original = sides.gallery_features
    for other in (np.load(tmp_path / "gallery.npy", mmap_mode="r"), torch.from_numpy(original)):
        sides.gallery_features = other
        same(score(sides), expected)


@contextmanager
def single_precision(value):
    """The process's setting for products in single precision on CUDA, put back afterwards."""
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, value
    try:
        yield
    finally:
        matmul.fp32_precision = before


@pytest.mark.parametrize("allowed", ["tf32", "ieee"])
def test_cuda_computes_in_true_single_precision_whatever_the_program_allows(allowed):
    with single_precision(allowed):
        with ranks._alone(torch.device("cuda")):
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == allowed


def test_a_processor_leaves_the_setting_of_cuda_alone(small, monkeypatch):
    sides, seen = problem(3), []
    product = ranks.product
    monkeypatch.setattr(
        ranks,
        "product",
        lambda *rows: seen.append(torch.backends.cuda.matmul.fp32_precision) or product(*rows),
    )
    expected = score(sides)
    with single_precision("tf32"):
        same(score(sides), expected)
    assert set(seen) == {"none", "tf32"} or set(seen) == {"ieee", "tf32"}


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_the_products_of_tiles_run_on_one_thread_each(small, monkeypatch):
    seen, product = set(), ranks.product
    monkeypatch.setattr(ranks, "product", lambda *rows: seen.update(blas_threads()) or product(*rows))
    with threadpool_limits(3, user_api="blas"):
        score(problem(3))
        assert seen == {1}
        assert blas_threads() == {3}


def test_calls_that_overlap_take_turns_and_leave_everything_as_it_was(small, monkeypatch):
    problems = [problem(seed) for seed in range(6)]
    expected = [score(sides) for sides in problems]
    inside, together, product = [], [], ranks.product

    def watched(*rows):
        together.append(len(inside))
        return product(*rows)

    alone = ranks._alone

    @contextmanager
    def counted(device):
        with alone(device):
            inside.append(device)
            yield
            inside.pop()

    monkeypatch.setattr(ranks, "product", watched)
    monkeypatch.setattr(ranks, "_alone", counted)
    before = blas_threads()
    with ThreadPoolExecutor(6) as pool:
        for one, other in zip(pool.map(score, problems), expected, strict=True):
            same(one, other)
    assert set(together) == {1}
    assert blas_threads() == before


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["market", "ilids-1", "mars-official"])
def test_the_branches_of_other_devices_give_the_same_result(small, monkeypatch, seed, name):
    sides = problem(seed, levels=2)
    labels = sides.query, sides.gallery, protocol(name)
    expected = evaluate(sides.query_features, sides.gallery_features, *labels)
    monkeypatch.setattr(ranks, "product", lambda here, there: here @ there.t())
    monkeypatch.setattr(tiles, "_ascending", lambda tile: tile.sort(dim=1).values)
    monkeypatch.setattr(tiles, "_lower", lambda rows, values: torch.searchsorted(rows, values).numpy())
    monkeypatch.setattr(tiles, "_highest", lambda tile: tuple(part.numpy() for part in tile.max(dim=1)))
    same(evaluate(sides.query_features, sides.gallery_features, *labels), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", ["market", "ilids-1", "mars-official"])
def test_cuda_gives_the_result_of_the_cpu(small, name):
    sides = problem(5, levels=2)
    labels = sides.query, sides.gallery, protocol(name)
    features = sides.query_features, sides.gallery_features
    expected = evaluate(*features, *labels, device="cpu")
    same(evaluate(*features, *labels, device="cuda"), expected)
    same(evaluate(*(torch.from_numpy(rows).cuda() for rows in features), *labels), expected)


def test_the_device_that_is_asked_for_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for asked, expected in ((None, "cuda"), ("cpu", "cpu"), (torch.device("cuda", 1), "cuda:1")):
        assert evaluation._device(asked) == torch.device(expected)
    with pytest.raises(InputError, match="device must be one that is there, got cuda:2"):
        evaluation._device("cuda:2")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert evaluation._device(None) == torch.device("cpu")
    with pytest.raises(InputError, match="device must be one that is there, got cuda with no such"):
        score(problem(1), device="cuda")
    with pytest.raises(InputError, match="device must be cpu or a CUDA device, got meta"):
        score(problem(1), device="meta")


def test_junk_is_never_read(small):
    sides = problem(4, junk=0.3)
    expected = score(sides)
    sides.gallery_features[sides.gallery.junk] = np.nan
    same(score(sides), expected)


def test_queries_of_one_camera_set_meet_the_other_camera_only():
    sides = problem(2, cameras=2)
    for name in ("ilids-3", "prid-10"):
        rule = protocol(name)
        (mean_ap, *_), _ = naive(sides.distances, sides.query, sides.gallery, rule)
        result = evaluate(sides.query_features, sides.gallery_features, sides.query, sides.gallery, rule)
        assert result.mAP == pytest.approx(mean_ap)


@pytest.mark.parametrize(("side", "row"), [("query", 17), ("gallery", 71)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_with_its_row(small, side, row, value):
    sides = problem(8, junk=0.0)
    getattr(sides, f"{side}_features")[row, 1] = value
    with pytest.raises(InputError, match=f"{side} feature, row {row}: must be finite"):
        score(sides)


def test_sides_that_do_not_fit_are_refused():
    sides = problem(8)
    narrow = problem(8)
    narrow.gallery_features = narrow.gallery_features[:, :4]
    with pytest.raises(InputError, match="must be equally wide, got 6 and 4 columns"):
        score(narrow)
    with pytest.raises(InputError, match="30 query labels need as many features, got 29"):
        evaluate(sides.query_features[:29], sides.gallery_features, sides.query, sides.gallery, MARKET)
    with pytest.raises(InputError, match="80 gallery labels need as many features, got 81"):
        evaluate(sides.query_features, np.ones((81, 6)), sides.query, sides.gallery, MARKET)
    for options, words in (
        ({"block": 0}, "block must be at least 1"),
        ({"tie": -1.0}, "tie must be at least 0 and finite, got -1.0"),
        ({"tie": float("inf")}, "tie must be at least 0 and finite, got inf"),
    ):
        with pytest.raises(InputError, match=words):
            score(sides, **options)
    with pytest.raises(InputError, match="tie must be at least 0 and finite, got nan"):
        score(sides, tie=float("nan"))


def test_doubts_are_few_where_they_are_looked_into_one_by_one(small, monkeypatch):
    # without signal every match has answers nearby: together they are many, though few about each match
    rng = np.random.default_rng(0)
    labels = Labels(rng.integers(0, 4, 400), rng.integers(0, 4, 400))
    features = rng.standard_normal((400, 2048)).astype(np.float32)
    close, seen = tiles.Counter._count_close, []
    monkeypatch.setattr(
        tiles.Counter,
        "_count_close",
        lambda self, *rest: seen.append(rest[-1].sum(axis=1).max()) or close(self, *rest),
    )
    monkeypatch.setattr(ranks, "TILE", 64)
    monkeypatch.setattr(ranks, "ROOMY", 2**17)
    evaluate(features[:40], features, labels.take(np.arange(40)), labels, EMBEDDED)
    assert max(seen) <= 64 / tiles.CROWDED


@pytest.mark.parametrize("tie", [10.0, 1e39, 1e300])
def test_a_tie_wider_than_all_differences_puts_every_wrong_answer_first(small, tie):
    sides = problem(3)
    table = score(sides, tie=tie).per_query
    matched = table["matches"] > 0
    assert (table["first_hit"][matched] == table["wrong"][matched] + 1).all()
    labels = Labels([1], [1]), Labels([1, 2, 1], [2, 2, 1])
    assert evaluate_distances(np.array([[1.7e308, 1.0, 0.0]]), *labels, MARKET, tie=1e308).per_query[
        "first_hit"
    ].tolist() == [2]


def test_the_result_tells_the_tie_that_was_used(small):
    assert score(problem(3), tie=0).tie == tiles.NOISE
    assert score(problem(3), tie=1e-7).tie == 1e-7
