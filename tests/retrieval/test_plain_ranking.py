"""The evaluator equals its simplest form, in double precision, to the last rank, where rounding is worst."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench.plain_ranking import NOISE, ranks, unit
from sttreid.retrieval import Labels, counting, evaluate, protocol, streaming
from sttreid.runtime.errors import InputError

KINDS = (
    "random",
    "levels",  # few values: many cosines are equal
    "copies",  # of few rows, each of another length
    "constant",
    "cluster",  # so tight that single precision sees one point
    "near ties",  # at angles 1e-8 apart from a query
    "denormal",
    "huge",
    "half",  # of half precision
)


def rows(kind, rng, count, width):
    """[count, width] features of a kind."""
    values = rng.standard_normal((count, width))
    if kind == "levels":
        values = rng.integers(-1, 2, (count, width)) + 0.5
    if kind == "copies":
        values = values[rng.integers(0, min(4, count), count)] * rng.uniform(0.5, 2, (count, 1))
    if kind == "constant":
        values = np.tile(np.abs(values[:1]) + 0.1, (count, 1)) * rng.uniform(0.5, 2, (count, 1))
    if kind == "cluster":
        values[::2] = values[0] + 1e-5 * values[::2]
    if kind == "near ties":
        side = values - values[0] * (values @ values[0])[:, None] / (values[0] @ values[0])
        side[0] = 1
        angles = 0.5 + 1e-8 * rng.permutation(count)[:, None]
        values = np.cos(angles) * unit(values[:1]) + np.sin(angles) * unit(side + 1e-30)
    if kind == "denormal":
        return values * 1e-308 if rng.random() < 0.5 else (values * 1e-39).astype(np.float32)
    if kind == "huge":
        return values * 1e306 if rng.random() < 0.5 else (values * 1e37).astype(np.float32)
    if kind == "half":
        return values.astype(np.float16)
    return values.astype(np.float32) if rng.random() < 0.5 else values


def undecided(features, queries, tie):
    """Whether two cosines differ by the tie itself, or by the noise, so that rounding decides."""
    cosines = unit(queries) @ unit(features).T
    gap = np.abs(cosines[:, :, None] - cosines[:, None])
    return min(np.abs(gap - limit).min() for limit in (tie, NOISE) if limit) < 1e-13


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 20),
    gallery=st.integers(1, 60),
    width=st.integers(1, 40) | st.sampled_from([367, 433, 512]),
    name=st.sampled_from(["market", "ilids-1"]),
    tie=st.sampled_from([0, 1e-9, 1e-6, 0.1]),
    threads=st.integers(1, 3),
    tile=st.sampled_from([1, 7, 1024]),
    crowded=st.sampled_from([0, 4, 32]),
)
def test_every_rank_is_that_of_double_precision(
    monkeypatch, kind, seed, queries, gallery, width, name, tie, threads, tile, crowded
):
    rng = np.random.default_rng(seed)
    features = rows(kind, rng, gallery, width)
    chosen = rng.integers(0, gallery, queries)
    query_features = features[chosen] if rng.random() < 0.5 else rows(kind, rng, queries, width)
    assume(np.abs(features).max(axis=1).all() and np.abs(query_features).max(axis=1).all())
    assume(not undecided(features, query_features, tie))
    identities, cameras = int(rng.integers(1, 9)), 3
    query, labels = (
        (rng.integers(0, identities, count), rng.integers(0, cameras, count)) for count in (queries, gallery)
    )
    sides = query_features, features, query, labels
    expected = list(ranks(*sides, tie, other_camera=name == "ilids-1"))
    assume(any(len(of_query) for of_query, _ in expected))
    monkeypatch.setattr(streaming, "TILE", tile)
    monkeypatch.setattr(streaming, "QUERIES", 5)
    monkeypatch.setattr(counting, "CROWDED", crowded)
    table = evaluate(*sides, name, tie=tie, threads=threads).per_query
    for row, (of_query, nearest) in zip(table.to_dict("records"), expected, strict=True):
        assert row["best_wrong"] == nearest
        assert row["matches"] == len(of_query)
        assert row["first_hit"] == (of_query[0] if len(of_query) else 0)
        if len(of_query):
            numbers = np.arange(1, len(of_query) + 1)
            assert row["inp"] == len(of_query) / of_query[-1]
            assert row["ap"] == pytest.approx((numbers / of_query).mean(), abs=1e-14)


@pytest.mark.parametrize("name", ["market", "ilids-1"])
def test_the_two_agree_at_the_width_of_a_network(name):
    rng = np.random.default_rng(3)
    identity, camera = rng.integers(0, 60, 3000), rng.integers(0, 6, 3000)
    features = rng.standard_normal((60, 32))[identity] + rng.standard_normal((3000, 32))
    features = (features @ rng.standard_normal((32, 2048))).astype(np.float32)
    sides = features[:400], features, (identity[:400], camera[:400]), (identity, camera)
    table = evaluate(*sides, protocol(name)).per_query
    expected = list(ranks(*sides, 1e-9, other_camera=name == "ilids-1"))
    assert table["first_hit"].tolist() == [of_query[0] for of_query, _ in expected]
    assert table["best_wrong"].tolist() == [nearest for _, nearest in expected]
    np.testing.assert_array_equal(table["inp"], [len(each) / each[-1] for each, _ in expected])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    side=st.sampled_from(["query", "gallery"]),
    row=st.integers(0, 19),
    tile=st.sampled_from([1, 7, 1024]),
)
def test_one_value_that_is_not_finite_is_refused_wherever_it_is(monkeypatch, kind, value, side, row, tile):
    rng = np.random.default_rng(row)
    features = {name: rows(kind, rng, 20, 9).copy() for name in ("query", "gallery")}
    assume(all(np.abs(each).max(axis=1).all() for each in features.values()))
    features[side][row, 4] = value
    labels = Labels(np.arange(20) % 4, np.arange(20) % 3)
    monkeypatch.setattr(streaming, "TILE", tile)
    with pytest.raises(InputError, match=f"{side} feature, row {row}: must be finite"):
        evaluate(features["query"], features["gallery"], labels, labels)
