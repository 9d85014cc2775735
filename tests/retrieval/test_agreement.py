"""Average precisions are those of scikit-learn, on galleries with everything that protocols remove."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from sttreid.retrieval import PROTOCOLS, Labels, evaluate_distances, protocol
from sttreid.runtime.errors import InputError

CAMERAS, IDENTITIES, DISTRACTOR = 3, 5, 90  # identities from DISTRACTOR on are distractors
SINGLE = 4  # an identity that only camera 0 has seen


def camera_of(identity, camera):
    return 0 if identity == SINGLE else camera


@st.composite
def problems(draw):
    """Distances [Q, G] with few levels, so that many tie, and labels of both sides."""
    identity, camera = st.integers(0, IDENTITIES - 1), st.integers(0, CAMERAS - 1)
    gallery_identity = identity | st.integers(DISTRACTOR, DISTRACTOR + 2)
    entry = st.tuples(gallery_identity, camera, st.booleans(), st.integers(0, 4))
    gallery = draw(st.lists(entry, min_size=1, max_size=30))
    query = draw(st.lists(st.tuples(identity, camera), min_size=1, max_size=6))
    levels = draw(st.sampled_from([1, 3, 1000]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distances = rng.integers(0, levels, (len(query), len(gallery))) / 8
    identities = np.array([entry[0] for entry in gallery])
    gallery_labels = Labels(
        identities,
        [camera_of(*entry[:2]) for entry in gallery],
        query=[is_query for _, _, is_query, _ in gallery],
        distractor=identities >= DISTRACTOR,
        junk=[number == 0 for *_, number in gallery],
    )
    query_labels = Labels([entry[0] for entry in query], [camera_of(*entry) for entry in query])
    return distances, query_labels, gallery_labels


def ranking(distances, identity, camera, gallery, rules):
    """Match or not, from near to far, of all that is ranked for the query; negatives first where they tie."""
    same, same_camera = gallery.identity == identity, gallery.camera == camera
    stays = ~gallery.junk & ~(same_camera if rules.excluded == "same camera" else same & same_camera)
    if "queries" in rules.gallery:
        stays &= ~gallery.query
    if "distractors" in rules.gallery:
        stays &= ~gallery.distractor
    order = np.lexsort((same[stays], distances[stays]))
    return same[stays][order]


def scikit_learn_ap(hits, rule):
    """scikit-learn's average precision of a ranking without ties; NaN without a match."""
    if not hits.any():
        return np.nan
    scores = -np.arange(len(hits))
    if rule == "non-interpolated":
        return average_precision_score(hits, scores)
    precision, recall, _ = precision_recall_curve(hits, scores)
    return auc(recall, precision)


NAMES = ("market", "embedded", "ilids-1", "prid-10", "duke-official", "mars-official", "lsvid-official")


@pytest.mark.parametrize("name", [*NAMES, "minus-queries", "no-distractors", "minus-queries-no-distractors"])
@settings(max_examples=60, deadline=None)
@given(sides=problems())
def test_average_precisions_are_scikit_learns(name, sides):
    distances, query, gallery = sides
    rules = protocol(name)
    rows = zip(distances, query.identity, query.camera, strict=True)
    rankings = [ranking(*row, gallery, rules) for row in rows]
    expected = np.array([scikit_learn_ap(hits, rules.average_precision) for hits in rankings])
    if np.isnan(expected).all():
        with pytest.raises(InputError, match=r"has a match in another camera|tracklet that is ranked"):
            evaluate_distances(distances, query, gallery, rules)
        return
    if rules.unmatched == "zero":
        expected = np.nan_to_num(expected, nan=0.0)
    result = evaluate_distances(distances, query, gallery, rules)
    np.testing.assert_allclose(result.per_query["ap"], expected, rtol=0, atol=1e-12)
    assert result.per_query["matches"].tolist() == [hits.sum() for hits in rankings]
    assert result.per_query["wrong"].tolist() == [(~hits).sum() for hits in rankings]
    counted = expected[~np.isnan(expected)]
    assert result.mAP == pytest.approx(counted.mean(), abs=1e-12)
    assert result.queries == len(counted)
    assert result.rank1 == pytest.approx(sum(hits[:1].any() for hits in rankings) / len(counted))


def test_the_names_cover_every_pair_of_exclusion_and_average_precision_in_use():
    def rules(protocols):
        return {(each.excluded, each.average_precision, each.unmatched) for each in protocols}

    assert rules(map(protocol, NAMES)) == rules(PROTOCOLS)


@settings(max_examples=60, deadline=None)
@given(sides=problems(), name=st.sampled_from(NAMES))
def test_no_order_of_what_ties_scores_lower(sides, name):
    distances, query, gallery = sides
    rules = protocol(name)
    broken = distances + np.random.default_rng(0).permutation(distances.size).reshape(distances.shape) / 1e6
    try:
        tied = evaluate_distances(distances, query, gallery, rules)
    except InputError:
        assume(False)
    untied = evaluate_distances(broken, query, gallery, rules)
    assert (untied.per_query["ap"] >= tied.per_query["ap"] - 1e-12)[tied.per_query["ap"].notna()].all()
