"""Features of a split are scored by cosine distance."""

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.errors import InputError
from sttreid.retrieval.evaluation import score, score_distances, score_similarities
from sttreid.retrieval.metrics import evaluate
from sttreid.retrieval.protocol import EMBEDDED


def table(people=10, cameras=4):
    identities, places = np.repeat(np.arange(people), cameras), np.tile(np.arange(1, cameras + 1), people)
    return pd.DataFrame({"identity": identities.astype(np.int32), "camera": places.astype(np.int16)})


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
    with pytest.raises(InputError, match=r"40 tracklets .* got \(39, 39\)"):
        score(torch.ones(39, 3), table(), EMBEDDED)
