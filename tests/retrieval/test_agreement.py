"""Average precisions against scikit-learn's, on galleries with everything that protocols take away."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from sttreid.retrieval import PROTOCOLS, Labels, evaluate_distances, protocol
from sttreid.runtime.errors import InputError

CAMERAS, PEOPLE, CROWD = 3, 5, 90  # identities from CROWD on are distractors
SHY = 4  # a person whom camera 0 alone has seen


def camera_of(identity, camera):
    return 0 if identity == SHY else camera


@st.composite
def problems(draw):
    """Distances [Q, G] with few levels, so that many tie, and labels of both sides."""
    person, camera = st.integers(0, PEOPLE - 1), st.integers(0, CAMERAS - 1)
    answers = st.tuples(person | st.integers(CROWD, CROWD + 2), camera, st.booleans(), st.integers(0, 4))
    gallery = draw(st.lists(answers, min_size=1, max_size=30))
    query = draw(st.lists(st.tuples(person, camera), min_size=1, max_size=6))
    levels = draw(st.sampled_from([1, 3, 1000]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distances = rng.integers(0, levels, (len(query), len(gallery))) / 8
    identity = np.array([who for who, *_ in gallery])
    there = Labels(
        identity,
        [camera_of(who, where) for who, where, *_ in gallery],
        query=[asks for _, _, asks, _ in gallery],
        distractor=identity >= CROWD,
        junk=[number == 0 for *_, number in gallery],
    )
    asking = Labels([who for who, _ in query], [camera_of(*one) for one in query])
    return distances, asking, there


def ranking(distances, identity, camera, gallery, rules):
    """Right or wrong, from near to far, of all that the query meets; where they tie, wrong ones first."""
    same, before = gallery.identity == identity, gallery.camera == camera
    stays = ~gallery.junk & ~(before if rules.excluded == "same camera" else same & before)
    if "queries" in rules.gallery:
        stays &= ~gallery.query
    if "distractors" in rules.gallery:
        stays &= ~gallery.distractor
    order = np.lexsort((same[stays], distances[stays]))
    return same[stays][order]


def theirs(hits, rule):
    """scikit-learn's average precision of a ranking without ties; NaN where nothing is right."""
    if not hits.any():
        return np.nan
    scores = -np.arange(len(hits))
    if rule == "step":
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
    places = zip(distances, query.identity, query.camera, strict=True)
    rankings = [ranking(*place, gallery, rules) for place in places]
    expected = np.array([theirs(hits, rules.average_precision) for hits in rankings])
    if np.isnan(expected).all():
        with pytest.raises(InputError, match=r"has a match in another camera|gallery tracklet that answers"):
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
    pairs = {(one.excluded, one.average_precision, one.unmatched) for one in PROTOCOLS}
    tried = {(one.excluded, one.average_precision, one.unmatched) for one in map(protocol, NAMES)}
    assert tried == pairs


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
