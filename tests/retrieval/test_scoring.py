"""What stages ask for: a store in, a score out, distractors and fragments included."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.config.params import Compute, Evaluate, Rerank
from sttreid.retrieval import accuracy
from sttreid.retrieval.accuracy import queries, rules, score_histogram, score_network
from sttreid.retrieval.evaluation import evaluate_distances
from sttreid.retrieval.histogram import histograms
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import EMBEDDED
from sttreid.retrieval.rerank import rerank
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
PLAIN = Evaluate(protocol="embedded", rerank=Rerank(enabled=False, k1=4, k2=2, weight=0.3))
AGAIN = Evaluate(protocol="embedded", rerank=Rerank(enabled=True, k1=4, k2=2, weight=0.3))
COMPUTE = Compute(threads=1, embed_batch=3, precision="fp32", sync_batch_norm=False)


@pytest.fixture
def store(tmp_path):
    """Noise around a colour of each identity."""
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
    """Rank-1 and mAP of all test tracks, from a function of two tracks' numbers; the largest is nearest."""
    firsts, precisions = [], []
    for query, (identity, camera, split) in enumerate(TRACKS):
        if split != "test":
            continue
        answers = [
            (-similarity(query, number), who == identity)
            for number, (who, where, group) in enumerate(TRACKS)
            if group in ("test", "distractors") and (who, where) != (identity, camera)
        ]
        right = [hit for _, hit in sorted(answers)]
        ranks = [rank for rank, hit in enumerate(right, start=1) if hit]
        firsts.append(ranks[0] == 1)
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
    return np.mean(firsts), np.mean(precisions)


class Stand(torch.nn.Module):
    """What embedding needs of a network: a random projection."""

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
    result = score_histogram(store, equalised, PLAIN)
    assert (result.rank1, result.mAP) == pytest.approx(expected)
    assert (result.queries, result.gallery, result.distractors) == (8, 12, 4)


def test_a_network_scores_as_a_double_loop_says(store):
    network = Stand().eval()
    features = []
    for start in range(0, LENGTH * len(TRACKS), LENGTH):
        clip = np.empty((LENGTH, 3, HEIGHT, WIDTH), np.float32)
        normalise(store.frames[start : start + LENGTH], clip)
        feature = network.encode(torch.from_numpy(clip)[None])[0].detach().double()
        features.append(feature / feature.norm())
    expected = naive(lambda a, b: float(features[a] @ features[b]))
    result = score_network(network, store, COMPUTE, PLAIN)
    assert (result.rank1, result.mAP) == pytest.approx(expected)
    assert (result.queries, result.unmatched, result.gallery, result.distractors) == (8, 0, 12, 4)


@pytest.mark.parametrize("place", ["cpu", "cuda:1"])
def test_features_are_scored_on_the_very_device_of_their_network(store, monkeypatch, place):
    seen, device = [], torch.device(place)
    network = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=device)]))
    monkeypatch.setattr(accuracy, "embed_tracklets", lambda *_: torch.eye(12))
    monkeypatch.setattr(accuracy, "evaluate", lambda *_, device: seen.append(device))
    score_network(network, store, COMPUTE, PLAIN)
    score_histogram(store, True, PLAIN)
    assert seen == [device, torch.device("cpu")]


def test_re_ranked_numbers_are_those_of_re_ranked_distances_and_say_so(store):
    gallery = store.gallery()
    features = histograms(store, gallery, True).double().sqrt()
    asked = np.array(gallery["split"] == "test")
    plain, again = score_histogram(store, True, PLAIN), score_histogram(store, True, AGAIN)
    labels = [
        Labels(part["identity"], part["camera"], distractor=part["split"] == "distractors")
        for part in (gallery[asked], gallery)
    ]
    expected = evaluate_distances(rerank(features[asked], features, 4, 2, 0.3), *labels, EMBEDDED, tie=1e-6)
    assert (again.mAP, again.cmc) == (expected.mAP, expected.cmc)
    assert again.mAP != plain.mAP
    assert (plain.protocol, again.protocol) == (rules(PLAIN), rules(AGAIN))
    assert again.protocol.name == "embedded-reranked"
    assert "k1 4, k2 2, weight 0.3" in again.protocol.source


def test_the_table_of_queries_speaks_of_tracklets(store):
    index = store.index
    index.loc[index["tracklet"] == 4, "visibility"] = [0.25, 0.75]
    result = score_histogram(store, True, PLAIN)
    table = queries(result, store)
    asked = [number for number, (_, _, split) in enumerate(TRACKS) if split == "test"]
    assert table["query"].tolist() == asked
    assert table["identity"].tolist() == [TRACKS[number][0] for number in asked]
    assert (table["length"] == LENGTH).all()
    assert table["visibility"].tolist() == [0.5 if number == 4 else 1.0 for number in asked]
    for query, match, wrong in table[["query", "best_match", "best_wrong"]].itertuples(index=False):
        assert TRACKS[match][0] == TRACKS[query][0]
        assert TRACKS[match][1] != TRACKS[query][1]
        assert TRACKS[wrong][0] != TRACKS[query][0]
        assert TRACKS[wrong][2] != "train"
    assert table["ap"].equals(result.per_query["ap"])


def test_a_query_without_a_match_or_a_wrong_answer_names_no_tracklet(tmp_path):
    rows = [(0, 5, 1, 1, "train", 1.0), (1, 1, 1, 1, "test", 1.0), (2, 1, 2, 1, "test", 1.0)]
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    rng = np.random.default_rng(0)

    def told(rows, name):
        crops = enumerate(rng.integers(0, 255, (len(rows), HEIGHT, WIDTH, 3)).astype(np.uint8))
        few = write_store(tmp_path / name, pd.DataFrame(rows, columns=columns), crops, HEIGHT, WIDTH)
        return queries(score_histogram(few, False, PLAIN), few)

    alone = told(rows, "one person")
    assert (alone["best_match"].tolist(), alone["best_wrong"].tolist()) == ([2, 1], [-1, -1])
    lonely = told([*rows, (3, 2, 1, 1, "test", 1.0)], "a lonely one")
    assert lonely["best_match"].tolist() == [2, 1, -1]
    assert lonely["best_wrong"].tolist()[:2] == [3, 3]


def test_training_people_never_stand_in_the_gallery(store):
    asked = score_histogram(store, True, PLAIN).per_query
    assert set(asked["identity"]) == {1, 2, 3}
    assert (asked["matches"] + asked["wrong"]).max() < 12


ASKING, SILENT, JUNK = {2, 4, 7}, {5, 7}, {3, 11}  # 7 asks and does not answer, 5 does neither


@pytest.fixture
def official(store, tmp_path):
    """The same pictures with the roles of a published set."""
    number = store.index["tracklet"]
    roles = {"query": number.isin(ASKING), "gallery": ~number.isin(SILENT), "junk": number.isin(JUNK)}
    return write_store(
        tmp_path / "official", store.index.assign(**roles), enumerate(store.frames), HEIGHT, WIDTH
    )


def test_only_queries_ask_and_only_gallery_rows_answer(official):
    rows = histograms(official, official.tracklets, True).double().sqrt()
    firsts, precisions, best = [], [], []
    for query in sorted(ASKING):
        identity, camera, _ = TRACKS[query]
        answers = sorted(
            (-round(float(rows[query] @ rows[number]), 9), who == identity, number)
            for number, (who, where, group) in enumerate(TRACKS)
            if group in ("test", "distractors")
            and number not in SILENT | JUNK
            and (who, where) != (identity, camera)
        )
        ranks = [rank for rank, (_, hit, _) in enumerate(answers, start=1) if hit]
        firsts.append(ranks[0])
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
        best.append(answers[ranks[0] - 1][2])
    result = score_histogram(official, True, PLAIN)
    table = queries(result, official)
    assert table["query"].tolist() == sorted(ASKING)
    assert table["first_hit"].tolist() == firsts
    assert table["ap"].tolist() == pytest.approx(precisions)
    assert table["best_match"].tolist() == best
    assert not set(table["best_wrong"]) & (SILENT | JUNK)
    assert (result.queries, result.gallery, result.distractors, result.junk) == (3, 8, 3, 2)


def test_re_ranking_sees_who_answers_and_nobody_else(official):
    gallery = official.gallery()
    features = histograms(official, gallery, True).double().sqrt()
    sides = [gallery[gallery["query"]], gallery[gallery["gallery"] & ~gallery["junk"]]]
    labels = [Labels(part["identity"], part["camera"]) for part in sides]
    distances = rerank(*(features[part.index.tolist()] for part in sides), 4, 2, 0.3)
    expected = evaluate_distances(distances, *labels, EMBEDDED, tie=1e-6)
    assert score_histogram(official, True, AGAIN).mAP == expected.mAP
