"""From a store to a result, distractors and fragments included."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.config.evaluation import Rerank, ResolvedEvaluate
from sttreid.retrieval import scoring
from sttreid.retrieval.evaluation import evaluate_distances
from sttreid.retrieval.histogram import histograms
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.open_set import halves
from sttreid.retrieval.protocol import EMBEDDED
from sttreid.retrieval.rerank import rerank
from sttreid.retrieval.scoring import (
    labels_of,
    query_table,
    reranked,
    rules,
    score_histogram,
    score_network,
)
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import normalise
from sttreid.tracklets.store import write_store

# identity, camera, split: a fragmented track in two cameras, and distractors of one and of two cameras
TRACKS = (
    *((5, camera, "train") for camera in (1, 2)),
    *((1, camera, "test") for camera in (1, 1, 2)),
    *((2, camera, "test") for camera in (1, 3)),
    *((3, camera, "test") for camera in (2, 3, 3)),
    *((7, camera, "distractors") for camera in (1, 2)),
    *((8, camera, "distractors") for camera in (3, 3)),
)
HEIGHT, WIDTH, LENGTH = 8, 4, 2
PLAIN = ResolvedEvaluate(protocol="embedded", rerank=Rerank(enabled=False, k1=4, k2=2, weight=0.3))
RERANKED = ResolvedEvaluate(protocol="embedded", rerank=Rerank(enabled=True, k1=4, k2=2, weight=0.3))


@pytest.fixture
def store(tmp_path):
    """Tracklets that show noise around a colour of their identity."""
    rng = np.random.default_rng(3)
    colours = rng.integers(90, 160, (9, 3))
    rows, crops = [], []
    for number, (identity, camera, split) in enumerate(TRACKS):
        for frame in range(1, LENGTH + 1):
            rows.append((number, identity, camera, 10 * number + frame, split, 1.0))
            noise = rng.integers(-60, 60, (HEIGHT, WIDTH, 3))
            crops.append((colours[identity] + noise).astype(np.uint8))
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    return write_store(
        tmp_path / "store", pd.DataFrame(rows, columns=columns), enumerate(crops), HEIGHT, WIDTH
    )


def naive(similarity):
    """Rank-1 and mAP of all test tracklets, from a function of two tracklets' numbers."""
    firsts, precisions = [], []
    for query, (identity, camera, split) in enumerate(TRACKS):
        if split != "test":
            continue
        ranked = [
            (-similarity(query, number), other == identity)
            for number, (other, seen_by, group) in enumerate(TRACKS)
            if group in ("test", "distractors") and (other, seen_by) != (identity, camera)
        ]
        ranks = [rank for rank, (_, hit) in enumerate(sorted(ranked), start=1) if hit]
        firsts.append(ranks[0] == 1)
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
    return np.mean(firsts), np.mean(precisions)


class Projection(torch.nn.Module):
    """The part of a network that embedding uses: a random projection."""

    frames = LENGTH

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(LENGTH * 3 * HEIGHT * WIDTH, 7)

    def encode(self, clips):
        return self.layer(clips.flatten(1))


@pytest.mark.parametrize("equalised", [False, True])
def test_a_histogram_scores_as_a_double_loop_says(store, equalised):
    rows = histograms(store, store.tracklets, equalised).double()
    expected = naive(lambda a, b: round(float((rows[a] * rows[b]).sqrt().sum()), 9))
    result = score_histogram(store, PLAIN, equalised=equalised)
    assert (result.rank1, result.mAP) == pytest.approx(expected)
    assert (result.queries, result.gallery, result.distractors) == (8, 12, 4)


def test_a_network_scores_as_a_double_loop_says(store):
    network = Projection().eval()
    features = []
    for start in range(0, LENGTH * len(TRACKS), LENGTH):
        clip = np.empty((LENGTH, 3, HEIGHT, WIDTH), np.float32)
        normalise(store.frames[start : start + LENGTH], clip)
        feature = network.encode(torch.from_numpy(clip)[None])[0].detach().double()
        features.append(feature / feature.norm())
    expected = naive(lambda a, b: float(features[a] @ features[b]))
    result = score_network(network, store, PLAIN, embed_batch=3, flip=False)
    assert (result.rank1, result.mAP) == pytest.approx(expected)
    assert (result.queries, result.unmatched, result.gallery, result.distractors) == (8, 0, 12, 4)


@pytest.mark.parametrize("name", ["cpu", "meta"])
def test_features_are_scored_on_the_device_of_their_network(store, monkeypatch, name):
    seen, device = [], torch.device(name)
    network = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=device)]))
    monkeypatch.setattr(scoring, "embed_tracklets", lambda *_, **__: torch.eye(12))
    real = scoring.evaluate

    def record(features, *rest, **settings):
        seen.append(features.device)
        return real(torch.rand(features.shape), *rest, **settings)

    monkeypatch.setattr(scoring, "evaluate", record)
    score_network(network, store, PLAIN, embed_batch=3, flip=False)
    assert set(seen) == {device}
    seen.clear()
    score_histogram(store, PLAIN, equalised=True)
    assert set(seen) == {torch.device("cpu")}


@pytest.mark.parametrize("settings", [PLAIN, RERANKED])
def test_strangers_change_nothing_but_their_own_columns(store, monkeypatch, settings):
    result = score_histogram(store, settings, equalised=True)
    monkeypatch.setattr(scoring, "with_strangers", lambda result, _: result)
    plain = score_histogram(store, settings, equalised=True)
    assert result == plain
    assert result.per_query[plain.per_query.columns].equals(plain.per_query)


def test_a_stranger_is_removed_from_the_gallery_with_all_tracklets(store):
    rows = histograms(store, store.tracklets, True).double().sqrt()
    table = query_table(score_histogram(store, PLAIN, equalised=True), store)
    half = set(halves(np.array([1, 2, 3]))[0].tolist())
    assert len(half) == 1
    for row in table.to_dict("records"):
        query = row["query"]
        identity, camera, _ = TRACKS[query]
        for column, removed in (("stranger", half), ("there", {1, 2, 3} - half)):
            if (identity in removed) != (column == "stranger"):  # the other half is removed
                removed = {1, 2, 3} - removed
            distances = {
                number: 1 - float(rows[query] @ rows[number])
                for number, (other, seen_by, group) in enumerate(TRACKS)
                if group in ("test", "distractors") and other not in removed
                if (other, seen_by) != (identity, camera)
            }
            assert row[f"{column}_distance"] == pytest.approx(min(distances.values()))
            if column == "there":
                right, wrong = (
                    min(
                        value for number, value in distances.items() if (TRACKS[number][0] == identity) == own
                    )
                    for own in (True, False)
                )
                assert row["there_correct"] == (right < wrong - 1e-9)


def test_re_ranked_results_have_a_protocol_of_their_own(store):
    gallery = store.gallery()
    features = histograms(store, gallery, True).double().sqrt()
    is_query = np.array(gallery["split"] == "test")
    plain, reranked = (
        score_histogram(store, PLAIN, equalised=True),
        score_histogram(store, RERANKED, equalised=True),
    )
    labels = [
        Labels(part["identity"], part["camera"], distractor=part["split"] == "distractors")
        for part in (gallery[is_query], gallery)
    ]
    expected = evaluate_distances(
        rerank(features[is_query], features, 4, 2, 0.3), *labels, EMBEDDED, tie=1e-6
    )
    assert (reranked.mAP, reranked.cmc) == (expected.mAP, expected.cmc)
    assert reranked.mAP != plain.mAP
    assert (plain.protocol, reranked.protocol) == (rules(PLAIN), rules(RERANKED))
    assert reranked.protocol.name == "embedded-reranked"
    assert "k1 4, k2 2, weight 0.3" in reranked.protocol.source


def test_the_query_table_has_tracklet_numbers(store):
    index = store.index
    index.loc[index["tracklet"] == 4, "visibility"] = [0.25, 0.75]
    result = score_histogram(store, PLAIN, equalised=True)
    table = query_table(result, store)
    expected = [number for number, (_, _, split) in enumerate(TRACKS) if split == "test"]
    assert table["query"].tolist() == expected
    assert table["identity"].tolist() == [TRACKS[number][0] for number in expected]
    assert (table["length"] == LENGTH).all()
    assert table["visibility"].tolist() == [0.5 if number == 4 else 1.0 for number in expected]
    for query, match, wrong in table[["query", "best_match", "best_wrong"]].itertuples(index=False):
        assert TRACKS[match][0] == TRACKS[query][0]
        assert TRACKS[match][1] != TRACKS[query][1]
        assert TRACKS[wrong][0] != TRACKS[query][0]
        assert TRACKS[wrong][2] != "train"
    assert table["ap"].equals(result.per_query["ap"])


def test_a_query_without_a_match_or_a_negative_has_no_such_tracklet(tmp_path):
    rows = [(0, 5, 1, 1, "train", 1.0), (1, 1, 1, 1, "test", 1.0), (2, 1, 2, 1, "test", 1.0)]
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    rng = np.random.default_rng(0)

    def table_of(rows, name):
        crops = enumerate(rng.integers(0, 255, (len(rows), HEIGHT, WIDTH, 3)).astype(np.uint8))
        few = write_store(tmp_path / name, pd.DataFrame(rows, columns=columns), crops, HEIGHT, WIDTH)
        return query_table(score_histogram(few, PLAIN, equalised=False), few)

    table = table_of(rows, "single identity")
    assert (table["best_match"].tolist(), table["best_wrong"].tolist()) == ([2, 1], [-1, -1])
    table = table_of([*rows, (3, 2, 1, 1, "test", 1.0)], "unmatched query")
    assert table["best_match"].tolist() == [2, 1, -1]
    assert table["best_wrong"].tolist()[:2] == [3, 3]


def test_training_identities_are_never_in_the_gallery(store):
    table = score_histogram(store, PLAIN, equalised=True).per_query
    assert set(table["identity"]) == {1, 2, 3}
    assert (table["matches"] + table["wrong"]).max() < 12


QUERIES, OUTSIDE, JUNK = {2, 4, 7}, {5, 7}, {3, 11}  # OUTSIDE: not in the gallery; 7 is a query, 5 is not


@pytest.fixture
def official(store, tmp_path):
    """The same images with the roles of a published set."""
    number = store.index["tracklet"]
    roles = {"query": number.isin(QUERIES), "gallery": ~number.isin(OUTSIDE), "junk": number.isin(JUNK)}
    return write_store(
        tmp_path / "official", store.index.assign(**roles), enumerate(store.frames), HEIGHT, WIDTH
    )


def test_only_queries_and_only_gallery_entries_are_ranked(official):
    rows = histograms(official, official.tracklets, True).double().sqrt()
    firsts, precisions, best = [], [], []
    for query in sorted(QUERIES):
        identity, camera, _ = TRACKS[query]
        ranked = sorted(
            (-round(float(rows[query] @ rows[number]), 9), other == identity, number)
            for number, (other, seen_by, group) in enumerate(TRACKS)
            if group in ("test", "distractors")
            and number not in OUTSIDE | JUNK
            and (other, seen_by) != (identity, camera)
        )
        ranks = [rank for rank, (_, hit, _) in enumerate(ranked, start=1) if hit]
        firsts.append(ranks[0])
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
        best.append(ranked[ranks[0] - 1][2])
    result = score_histogram(official, PLAIN, equalised=True)
    table = query_table(result, official)
    assert table["query"].tolist() == sorted(QUERIES)
    assert table["first_hit"].tolist() == firsts
    assert table["ap"].tolist() == pytest.approx(precisions)
    assert table["best_match"].tolist() == best
    assert not set(table["best_wrong"]) & (OUTSIDE | JUNK)
    assert (result.queries, result.gallery, result.distractors, result.junk) == (3, 8, 3, 2)


def test_re_ranking_uses_the_gallery_without_junk(official):
    gallery = official.gallery()
    features = histograms(official, gallery, True).double().sqrt()
    sides = [gallery[gallery["query"]], gallery[gallery["gallery"] & ~gallery["junk"]]]
    labels = [Labels(part["identity"], part["camera"]) for part in sides]
    distances = rerank(*(features[part.index.tolist()] for part in sides), 4, 2, 0.3)
    expected = evaluate_distances(distances, *labels, EMBEDDED, tie=1e-6)
    assert score_histogram(official, RERANKED, equalised=True).mAP == expected.mAP


@pytest.mark.parametrize("name", ["no-distractors", "minus-queries", "minus-queries-no-distractors"])
def test_re_ranking_uses_only_what_the_protocol_ranks(store, name):
    gallery = store.gallery()
    features = histograms(store, gallery, True).double().sqrt()
    query, everything = labels_of(gallery.assign(query=gallery["query"] & (gallery["tracklet"] % 2 == 0)))
    settings = ResolvedEvaluate(protocol=name, rerank=RERANKED.rerank)
    kept = np.flatnonzero(
        ~(everything.query & ("queries" in name)) & ~(everything.distractor & ("distractors" in name))
    )
    assert 0 < len(kept) < len(everything)
    queries = features[np.flatnonzero(everything.query)]
    found = reranked(queries, features, query, everything, settings)
    assert np.array_equal(found[:, kept], rerank(queries, features[kept], 4, 2, 0.3))
    assert np.isnan(np.delete(found, kept, axis=1)).all()


def test_labels_that_break_a_rule_are_refused_before_re_ranking(store, monkeypatch):
    monkeypatch.setattr(scoring, "rerank", None)
    query, gallery = labels_of(store.gallery())
    features = torch.ones(len(gallery), 3)
    with pytest.raises(InputError, match="12 gallery labels need as many features, got 11"):
        reranked(features[: len(query)], features[1:], query, gallery, RERANKED)
    wrong = Labels([8], [1])  # the identity of a distractor
    with pytest.raises(InputError, match="query 0: its identity 8 must not be that of a distractor"):
        reranked(features[:1], features, wrong, gallery, RERANKED)
