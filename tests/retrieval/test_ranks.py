"""Ranks do not depend on how the gallery is cut, on threads, on types or on the order of rows."""

import numpy as np
import pytest
import torch

from sttreid.errors import InputError
from sttreid.retrieval import evaluate, ranks, tiles
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import EMBEDDED, MARKET, protocol
from tests.retrieval.conftest import Problem, cosines, naive, problem


@pytest.fixture
def small(monkeypatch):
    """Tiles of a few rows, so that small problems have many."""
    monkeypatch.setattr(ranks, "ASKING", 7)
    monkeypatch.setattr(ranks, "TILE", 8)
    monkeypatch.setattr(ranks, "HELD", 2)
    monkeypatch.setattr(tiles, "LINES", 3)
    monkeypatch.setattr(ranks, "LINES", 3)


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


def test_the_first_of_equally_near_wrong_answers_is_told(small):
    features = np.repeat(np.eye(2), [1, 40], axis=0)
    features[5::7] = [0.8, 0.6]
    labels = Labels([1, 1, *range(2, 41)], np.arange(41) % 2)
    result = evaluate(features[:1], features, labels.take(np.array([0])), labels, EMBEDDED)
    assert result.per_query["best_wrong"].tolist() == [5]


@pytest.mark.parametrize("crowded", [0, 32])
def test_without_any_tolerance_equal_answers_are_still_ties(small, monkeypatch, crowded):
    monkeypatch.setattr(tiles, "CROWDED", crowded)  # 0: pair by pair; 32: by whole rows
    corners = np.eye(4)[np.arange(80) % 4] * 2.0  # their cosines are exactly 0 and 1
    labels = Labels(np.arange(80) // 2, np.arange(80) // 40)
    asked = Labels(np.arange(40), np.full(40, 2))
    answers = Labels(np.append(np.arange(40), np.arange(40) + 100), labels.camera)
    result = evaluate(corners[:40], corners, asked, answers, EMBEDDED, tie=0)
    assert (result.per_query["first_hit"] == 20).all()  # 9 others of its corner, 10 doubles, itself


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
    (mean_ap, *_), _ = naive(1 - cosines(features, features), labels, labels, EMBEDDED)
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


@pytest.mark.parametrize("allowed", ["high", "medium"])
def test_a_program_that_allows_coarse_products_gets_the_same_result(small, monkeypatch, allowed):
    sides = problem(3)
    expected = score(sides)
    before, product, seen = torch.get_float32_matmul_precision(), ranks.product, []

    def watched(here, there):
        seen.append(torch.get_float32_matmul_precision())
        return product(here, there)

    monkeypatch.setattr(ranks, "product", watched)
    try:
        torch.set_float32_matmul_precision(allowed)
        same(score(sides), expected)
        assert set(seen) == {"highest"}
        assert torch.get_float32_matmul_precision() == allowed
    finally:
        torch.set_float32_matmul_precision(before)


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
        ({"tie": -1.0}, "tie must be at least 0"),
    ):
        with pytest.raises(InputError, match=words):
            score(sides, **options)
    with pytest.raises(InputError, match="tie must be at least 0, got nan"):
        score(sides, tie=float("nan"))
