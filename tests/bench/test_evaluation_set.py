"""Generated features have the counts of the published sets and a realistic accuracy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.evaluation import CALLS, OURS
from bench.evaluation_set import LSVID, MARS, SIZES, Size, generate, labels, load


@pytest.mark.parametrize("size", [MARS, LSVID])
def test_labels_have_the_counts_of_the_data_set(size: Size) -> None:
    columns = labels(size, np.random.default_rng(1))
    identity, camera, query = columns["identity"], columns["camera"], columns["query"]
    assert len(identity) == size.gallery
    assert query.sum() == size.queries
    assert columns["junk"].sum() == size.junk == (identity == -1).sum()
    assert columns["distractor"].sum() == size.distractors == (identity == 0).sum()
    identities, counts = np.unique(identity[identity > 0], return_counts=True)
    assert (len(identities), counts.sum()) == (size.identities, size.tracklets)
    assert counts.max() > 3 * np.median(counts)
    assert len(np.unique(identity[query])) == size.query_identities
    assert set(camera) == set(range(1, size.cameras + 1))
    same = identity[query, None] == identity
    matches = (same & (camera[query, None] != camera)).sum(axis=1)
    assert (matches == 0).sum() == size.unmatched
    assert matches.mean() == pytest.approx(13 if size is MARS else 3.3, abs=1)


def test_the_million_is_mars_with_more_distractors() -> None:
    million = SIZES["million"]
    assert million.gallery == 1_000_000
    assert replace(million, distractors=MARS.distractors) == MARS


def test_features_score_as_on_mars(tmp_path: Path) -> None:
    generate(replace(MARS, width=32), tmp_path)  # as many columns as the latent space
    few = load(tmp_path, mapped=False)
    np.testing.assert_allclose(np.linalg.norm(few.features, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(few.queries, few.features[few.query])
    rank1, mean_ap = CALLS[OURS](few)()  # type: ignore[misc]
    assert 0.85 < rank1 < 0.91
    assert 0.74 < mean_ap < 0.81
