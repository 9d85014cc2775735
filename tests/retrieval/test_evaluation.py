"""Features of a split are scored by cosine distance."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.errors import InputError
from sttreid.retrieval.evaluation import asking, score, score_distances, score_similarities
from sttreid.retrieval.metrics import evaluate
from sttreid.retrieval.protocol import EMBEDDED


def table(people=10, cameras=4):
    identities, places = np.repeat(np.arange(people), cameras), np.tile(np.arange(1, cameras + 1), people)
    labels = {"identity": identities.astype(np.int32), "camera": places.astype(np.int16)}
    return pd.DataFrame({**labels, "split": "test"})


def test_features_that_point_at_their_identity_score_everything():
    tracklets = table()
    features = torch.eye(10)[torch.from_numpy(tracklets["identity"].to_numpy(np.int64))]
    lengths = torch.arange(1, 41)[:, None]
    result = score(features * lengths, tracklets, EMBEDDED)
    assert (result.rank1, result.mAP, result.mINP, result.queries, result.gallery) == (1.0, 1.0, 1.0, 40, 40)


def test_cosine_distances_are_meant():
    tracklets, features = table(), torch.randn(40, 8, generator=torch.Generator().manual_seed(3))
    rows = features.numpy().astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = [tracklets[name].to_numpy(np.int64) for name in ("identity", "camera")]
    assert score(features, tracklets, EMBEDDED) == evaluate(1 - rows @ rows.T, *labels, *labels, EMBEDDED)


@pytest.mark.parametrize("width", [1, 7, 128, 1001])
def test_a_constant_embedding_scores_no_first_rank(width):
    constant = torch.rand(width, generator=torch.Generator().manual_seed(width)) + 0.1
    noise = 1 + 1e-7 * torch.randn(80, width, generator=torch.Generator().manual_seed(1))
    for features in (constant.repeat(80, 1), constant * noise):
        result = score(features, table(20), EMBEDDED)
        assert (result.rank1, result.rank20) == (0.0, 0.0)


def test_similarities_are_distances_turned_round():
    tracklets = table()
    similarities = torch.rand(40, 40, generator=torch.Generator().manual_seed(2)).double()
    assert score_similarities(similarities, tracklets, EMBEDDED) == score_distances(
        1 - similarities, tracklets, EMBEDDED
    )


def test_a_feature_that_is_not_finite_is_refused_with_its_row():
    features = torch.ones(40, 3)
    features[17, 1] = torch.nan
    with pytest.raises(InputError, match="features: row 17 must be finite"):
        score(features, table(), EMBEDDED)


def test_another_number_of_tracklets_is_refused():
    with pytest.raises(InputError, match="40 tracklets need as many features, got 39"):
        score(torch.ones(39, 3), table(), EMBEDDED)
    with pytest.raises(InputError, match=r"40 queries and 40 tracklets need \(40, 40\) distances, got"):
        score_distances(torch.ones(39, 39), table(), EMBEDDED)


def crowded(seed=0):
    """A gallery with distractors among the test's rows, and fragments: cameras that hold a person twice."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 9, 60)
    split = np.where(people < 6, "test", "distractors")
    return pd.DataFrame({"identity": people, "camera": rng.integers(1, 4, 60), "split": split})


def naive(features, gallery):
    """Rank-1, mAP and the counts by asking one test tracklet after the other, with plain numbers."""
    rows = list(zip(features, gallery["identity"], gallery["camera"], gallery["split"], strict=True))
    hits, aps = [], []
    for feature, identity, camera, split in rows:
        if split != "test":
            continue
        answers = []
        for other, who, where, _ in rows:
            if who == identity and where == camera:
                continue
            product = sum(a * b for a, b in zip(feature, other, strict=True))
            answers.append((1 - product / math.hypot(*feature) / math.hypot(*other), who == identity))
        right = [hit for _, hit in sorted(answers)]
        found = [rank for rank, hit in enumerate(right, start=1) if hit]
        if found:
            hits.append(found[0] == 1)
            aps.append(sum((i + 1) / rank for i, rank in enumerate(found)) / len(found))
    return sum(hits) / len(hits), sum(aps) / len(aps), len(hits)


@pytest.mark.parametrize("seed", range(4))
def test_distractors_and_fragments_score_as_a_double_loop_says(seed):
    gallery = crowded(seed)
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(seed))
    result = score(features, gallery, EMBEDDED)
    rank1, mean, queries = naive(features.tolist(), gallery)
    assert (result.rank1, result.mAP, result.queries) == (pytest.approx(rank1), pytest.approx(mean), queries)
    distractors = int((gallery["split"] == "distractors").sum())
    assert (result.gallery, result.distractors) == (60, distractors)
    assert distractors > 0
    assert gallery[gallery["split"] == "test"].duplicated(["identity", "camera"]).any()


def test_only_the_test_asks():
    gallery = crowded()
    asked = score(torch.ones(60, 2), gallery, EMBEDDED).per_query
    chosen = gallery[gallery["split"] == "test"]
    assert (
        asked[["identity", "camera"]].to_numpy().tolist()
        == chosen[["identity", "camera"]].to_numpy().tolist()
    )
    assert asking(gallery).tolist() == (gallery["identity"] < 6).tolist()


def test_a_fragment_of_the_same_camera_neither_helps_nor_harms():
    gallery = table(people=3, cameras=2)
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(8))
    plain = score(features, gallery, EMBEDDED).per_query
    more = pd.concat([gallery, gallery.iloc[:1]], ignore_index=True)
    result = score(torch.cat([features, features[:1]]), more, EMBEDDED).per_query
    same = ["matches", "wrong", "first_hit", "ap"]
    assert result.loc[0, same].tolist() == plain.loc[0, same].tolist() == result.loc[6, same].tolist()
    assert result.loc[1, "matches"] == 2  # from the other camera both fragments are right answers
