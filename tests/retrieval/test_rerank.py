"""Re-ranking is that of the paper's definitions, set by set and pair by pair."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.retrieval import exact_rows
from sttreid.retrieval import rerank as module
from sttreid.retrieval.evaluation import evaluate_distances
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import EMBEDDED
from sttreid.retrieval.rerank import rerank
from sttreid.runtime.errors import InputError


def halved_squares(features):
    """All pairs' distances from exactly rounded sums: copies tie, at distance 0."""
    rows = [[value / math.hypot(*row) for value in row] for row in features.tolist()]
    return [[math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / 2 for b in rows] for a in rows]


def without_twins(problem):
    """The distinct rows, queries from outside first, and the place of each query: a query in the gallery is
    the first copy that no query before it is, or the last one.
    """
    queries, gallery = (rows.tolist() for rows in problem)
    free, own = list(range(len(gallery))), []
    for row in queries:
        copies = [number for number, other in enumerate(gallery) if other == row]
        left = [number for number in copies if number in free]
        own.append(left[0] if left else copies[-1] if copies else None)
        if left:
            free.remove(left[0])
    outside = [number for number, twin in enumerate(own) if twin is None]
    place = [outside.index(i) if twin is None else len(outside) + twin for i, twin in enumerate(own)]
    return np.array([*(queries[i] for i in outside), *gallery], problem[0].dtype), place


def expected_of(problem, k1, k2, weight):
    rows, place = without_twins(problem)
    return naive(halved_squares(rows), place, len(problem[1]), k1, k2, weight)


def naive(distances, queries, gallery, k1, k2, weight):
    """Sections 3.2 to 3.5 of the paper in sets and dictionaries, as the module's docstring says."""
    rows = range(len(distances))
    near = [sorted(rows, key=lambda j: (i != j, distances[i][j], j)) for i in rows]

    def reciprocal(i, k):
        return {j for j in near[i][: k + 1] if i in near[j][: k + 1]}

    scaled = [[d / (max(line) or 1) for d in line] for line in distances]
    encodings = []
    for i in rows:
        joined = reciprocal(i, k1)
        for j in sorted(joined):
            more = reciprocal(j, round(k1 / 2))
            if 3 * len(more & reciprocal(i, k1)) > 2 * len(more):
                joined = joined | more
        raw = {j: math.exp(-scaled[i][j]) for j in joined}
        encodings.append({j: value / math.fsum(raw.values()) for j, value in raw.items()})
    expanded = []
    for i in rows:
        nearest = [encodings[j] for j in near[i][:k2]]
        expanded.append([math.fsum(code.get(j, 0) for code in nearest) / len(nearest) for j in rows])

    def jaccard(i, j):
        pairs = list(zip(expanded[i], expanded[j], strict=True))
        return 1 - math.fsum(map(min, pairs)) / math.fsum(map(max, pairs))

    return [[(1 - weight) * jaccard(i, j) + weight * scaled[i][j] for j in rows[-gallery:]] for i in queries]


@st.composite
def problems(draw):
    """Few rows, often copies of each other, up to all equal; k1 and k2 may exceed their number."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distinct = rng.standard_normal((draw(st.integers(1, 30)), draw(st.integers(2, 6)))).astype(np.float32)
    rows = distinct[rng.integers(0, len(distinct), queries + gallery)]
    return rows[:queries], rows[queries:]


parameters = st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 0.3, 1.0]))


@settings(max_examples=150, deadline=None)
@given(problems(), parameters)
def test_distances_equal_the_definitions(problem, chosen):
    distances = rerank(*problem, *chosen)
    expected = expected_of(problem, *chosen)
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances, expected, atol=2e-6)
    assert distances.min() >= 0
    assert distances.max() <= 1


@pytest.mark.parametrize("k1", [1, 3, 4, 5, 8, 11])
def test_many_rows_in_clusters_equal_the_definitions(k1):
    queries, gallery = clustered(identities=9, each=8, seed=k1)[:2]
    expected = expected_of((queries, gallery), k1, 3, 0.3)
    np.testing.assert_allclose(rerank(queries, gallery, k1, 3, 0.3), expected, atol=2e-6)


def test_a_case_by_hand():
    """Distances: q-a 0.2, q-b 1, q-c 2, a-b 0.4, a-c 1.8, b-c 1. Only q and a choose each other.

    Encodings: q (0.524979 q, 0.475021 a) from exp(-0.2 / 2); a (0.472251 q, 0.527749 a) from exp(-0.2 / 1.8);
    b and c only themselves. The smaller entries of q and a sum to 0.947272 and make 1 - 0.947272 / 1.052728 =
    0.100174.
    """
    query, gallery = np.array([[3.0, 0.0]]), np.array([[0.8, 0.6], [0.0, 2.0], [-1.0, 0.0]])
    np.testing.assert_allclose(rerank(query, gallery, 1, 1, 0.0), [[0.100174, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(rerank(query, gallery, 1, 1, 0.5), [[0.100087, 0.75, 1]], atol=1e-6)
    # q, a and b are averaged with their nearest row: q and a become equal, b shares half with them
    np.testing.assert_allclose(rerank(query, gallery, 1, 2, 0.0), [[0, 2 / 3, 1]], atol=1e-6)


def test_a_query_in_the_gallery_counts_once():
    """The gallery is that of the last test with the query in it, in another length: nothing changes."""
    query = np.array([[3.0, 0.0]])
    gallery = np.array([[0.8, 0.6], [0.0, 2.0], [-1.0, 0.0], [0.5, 0.0]])
    for k1, k2, expected in ((1, 1, [0.100174, 1, 1, 0]), (1, 2, [0, 2 / 3, 1, 0])):
        np.testing.assert_allclose(rerank(query, gallery, k1, k2, 0.0), [expected], atol=1e-6)


def test_which_other_queries_of_the_gallery_are_asked_does_not_matter():
    gallery = clustered(identities=12)[1]
    everyone = rerank(gallery, gallery, 6, 3, 0.3)
    np.testing.assert_array_equal(rerank(gallery[::7], gallery, 6, 3, 0.3), everyone[::7])


def clustered(identities=40, each=8, seed=0, width=12):
    """Queries and gallery, then their identities and cameras: a cluster per identity, shifted per camera."""
    rng = np.random.default_rng(seed)
    identity, camera = np.repeat(np.arange(identities), each), np.tile(np.arange(each) % 4, identities)
    centres, shifts = rng.standard_normal((identities, width)), rng.standard_normal((identities, width))
    features = centres[identity] + 0.3 * camera[:, None] * shifts[identity]
    features = (features + 0.35 * rng.standard_normal(features.shape)).astype(np.float32)
    query = np.arange(len(features)) % each == 0
    return features[query], features, identity[query], camera[query], identity, camera


def test_accuracy_rises_where_identities_form_clusters():
    queries, gallery, *columns = clustered()
    sides = Labels(*columns[:2]), Labels(*columns[2:])
    plain, again = (
        evaluate_distances(rerank(queries, gallery, 10, 3, weight), *sides, EMBEDDED).mAP
        for weight in (1.0, 0.3)
    )
    assert again > plain + 0.05


def test_weight_1_gives_the_plain_distances_relative_to_the_farthest():
    queries, gallery = clustered()[:2]
    rows = torch.nn.functional.normalize(torch.from_numpy(np.concatenate([queries, gallery])).double(), dim=1)
    cosine = (1 - rows[: len(queries)] @ rows.t()).numpy()
    expected = (cosine / cosine.max(axis=1, keepdims=True))[:, len(queries) :]
    np.testing.assert_allclose(rerank(queries, gallery, 10, 3, 1.0), expected, atol=1e-6)


@pytest.fixture(scope="module")
def crowd():
    """150 queries that are copies of rows of the gallery, which has copies of its own: 750 rows."""
    gallery = clustered(identities=60, width=40)[1]
    gallery = np.concatenate([gallery, gallery[::4]])
    return gallery[::4], gallery


@pytest.mark.parametrize(("rows", "pairs"), [(1000, 7), (97, 64), (13, 1)])
def test_blocks_change_nothing(crowd, monkeypatch, rows, pairs):
    expected = rerank(*crowd, 20, 6, 0.3)
    monkeypatch.setattr(exact_rows, "ROWS", rows)
    monkeypatch.setattr(exact_rows, "PAIRS", pairs)
    assert np.array_equal(rerank(*crowd, 20, 6, 0.3), expected)


@pytest.mark.parametrize("rows", [97, 13])
def test_blocks_change_nothing_for_queries_from_outside(crowd, monkeypatch, rows):
    queries = crowd[0] + np.float32(0.01)  # no longer rows of the gallery
    expected = rerank(queries, crowd[1], 20, 6, 0.3)
    monkeypatch.setattr(exact_rows, "ROWS", rows)
    assert np.array_equal(rerank(queries, crowd[1], 20, 6, 0.3), expected)


def test_blocks_of_single_rows_change_nothing(monkeypatch):
    queries, gallery = clustered(identities=6)[:2]
    expected = rerank(queries, gallery, 5, 3, 0.3)
    monkeypatch.setattr(exact_rows, "ROWS", 1)
    assert np.array_equal(rerank(queries, gallery, 5, 3, 0.3), expected)


@pytest.mark.parametrize("spare", [0, 1, 800])
def test_rows_that_single_precision_keeps_in_addition_change_nothing(crowd, monkeypatch, spare):
    expected = rerank(*crowd, 20, 6, 0.3)
    monkeypatch.setattr(module, "SPARE", spare)  # with none, every row is compared with all exactly
    assert np.array_equal(rerank(*crowd, 20, 6, 0.3), expected)


@pytest.mark.parametrize("spread", [0, 1e-3])
def test_rows_closer_than_single_precision_tells_apart_equal_the_definitions(spread):
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((6, 200))
    rows = centres[rng.integers(0, 6, 60)] + spread * rng.standard_normal((60, 200))
    expected = expected_of((rows[:15], rows[15:]), 8, 3, 0.3)
    np.testing.assert_allclose(rerank(rows[:15], rows[15:], 8, 3, 0.3), expected, atol=2e-6)


def test_the_order_of_the_gallery_does_not_matter_where_nothing_ties():
    queries, gallery = clustered(identities=30)[:2]
    queries = queries + np.float32(0.01)  # no longer copies of rows of the gallery
    order = np.random.default_rng(0).permutation(len(gallery))
    expected = rerank(queries, gallery, 10, 4, 0.3)[:, order]
    np.testing.assert_allclose(rerank(queries, gallery[order], 10, 4, 0.3), expected, atol=1e-6)


def test_lengths_types_and_layouts_do_not_matter():
    queries, gallery = clustered(identities=6)[:2]
    expected = rerank(queries, gallery, 5, 3, 0.3)
    lengths = (2.0 ** np.arange(-60, len(gallery) - 60)).astype(np.float32)[:, None]
    doubles = queries.astype(np.float64), gallery.astype(np.float64)
    for same in (
        rerank(queries * np.float32(2**100), gallery * lengths, 5, 3, 0.3),
        rerank(doubles[0] * 2.0**700, doubles[1] * 2.0**-700, 5, 3, 0.3),  # their squares leave the range
        rerank(torch.from_numpy(queries).requires_grad_(), torch.from_numpy(gallery), 5, 3, 0.3),
        rerank(np.asfortranarray(doubles[0]), gallery.repeat(2, 0)[::2], 5, 3, 0.3),
    ):
        assert np.array_equal(same, expected)


def test_arguments_are_left_alone():
    queries, gallery = clustered(identities=6)[:2]
    before = queries.copy(), gallery.copy()
    rerank(queries, gallery, 5, 3, 0.3)
    assert np.array_equal(queries, before[0])
    assert np.array_equal(gallery, before[1])


def test_memory_does_not_grow_with_all_pairs(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
    monkeypatch.setattr(exact_rows, "ROWS", 128)
    tracemalloc.start()
    try:
        rerank(rows[:20], rows[20:], 10, 3, 0.3)
        assert tracemalloc.get_traced_memory()[1] < len(rows) ** 2  # less than a byte for each pair
    finally:
        tracemalloc.stop()


def broken(row, values):
    gallery = np.ones((20, 4), np.float32)
    gallery[row] = values
    return gallery


ONES = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        (
            ONES,
            broken(17, [1, np.nan, 2, 3]),
            r"^gallery feature, row 17: must be finite .*, got \[nan, 2.0, 3.0\]",
        ),
        (
            ONES,
            broken(4, [1, 2, 3, -np.inf]),
            r"^gallery feature, row 4: must be finite .* got \[-inf\] from",
        ),
        (broken(19, np.inf), ONES, r"^query feature, row 19: must be finite .* got \[inf, inf, inf\]"),
        (broken(2, 0), ONES, r"^query feature, row 2: must be finite and not all 0, got \[0.0, 0.0, 0.0\]"),
        (ONES, broken(0, 0), r"^gallery feature, row 0: must be .* not all 0"),
        (ONES[:0], ONES, r"^re-ranking: there must be at least 1 query feature, got 0"),
        (ONES, ONES[0], r"^gallery features must have the shape \[N, D\] .* got \(4,\)"),
        (ONES, np.ones((5, 3)), "^query and gallery features must be equally wide, got 4 and 3"),
    ],
)
def test_broken_features_are_refused_by_name(monkeypatch, queries, gallery, message):
    for rows in (exact_rows.ROWS, 3):
        monkeypatch.setattr(exact_rows, "ROWS", rows)
        with pytest.raises(InputError, match=message):
            rerank(queries, gallery, 5, 3, 0.3)


@pytest.mark.parametrize(
    ("k1", "k2", "weight", "message"),
    [
        (0, 6, 0.3, "k1 must be at least 1, got 0"),
        (20, 0, 0.3, "k2 must be at least 1, got 0"),
        (20, 6, -0.1, "weight must be between 0 and 1, got -0.1"),
        (20, 6, 1.1, "weight must be between 0 and 1, got 1.1"),
        (20, 6, math.nan, "weight must be between 0 and 1, got nan"),
    ],
)
def test_parameters_out_of_range_are_refused(k1, k2, weight, message):
    with pytest.raises(InputError, match=f"^re-ranking: {message}"):
        rerank(ONES, ONES, k1, k2, weight)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_features_may_have_any_floating_type(kind):
    features = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = rerank(features[:4].float(), features[4:].float(), 3, 2, 0.3)
    distances = rerank(features[:4].to(kind), features[4:].to(kind), 3, 2, 0.3)
    np.testing.assert_allclose(distances, expected, atol=2e-3 if kind == torch.float16 else 1e-6)
