"""Every number of a result stands behind its own name, in the numbers and in the sentence."""

import numpy as np
import pytest

from sttreid.retrieval import Labels, evaluate, evaluate_distances, protocol

HITS = (1, 2, 5, 6, 10, 11, 20, 21)  # rank of the first match of one query each; a ninth has none
JUNK, DISTRACTORS, GALLERY = (32, 33, 34), 35, 40


@pytest.fixture
def sides():
    """Query k's only match is column k, behind as many of the 24 wrong answers as its rank says."""
    distances = np.full((len(HITS) + 1, GALLERY), 99.0)
    distances[:, 8:32] = np.arange(1, 25)
    for row, hit in enumerate(HITS):
        distances[row, row] = hit - 0.5
    column = np.arange(GALLERY)
    gallery = Labels(
        column,
        np.full(GALLERY, 2),
        query=column == 31,
        distractor=column >= DISTRACTORS,
        junk=np.isin(column, JUNK),
    )
    return distances, Labels([*range(len(HITS)), 99], np.ones(len(HITS) + 1, int)), gallery


def test_unmatched_queries_score_zero_in_every_number(sides):
    result = evaluate_distances(*sides, protocol("no-distractors"))
    numbers = result.numbers()
    assert [numbers[f"rank{k}"] for k in (1, 5, 10, 20)] == pytest.approx([1 / 9, 3 / 9, 5 / 9, 7 / 9])
    assert numbers["mINP"] == pytest.approx(sum(1 / hit for hit in HITS) / 9)
    assert (numbers["queries"], numbers["unmatched"]) == (9, 1)
    text = str(result)
    assert "rank-1 11.11, rank-5 33.33, rank-10 55.56, rank-20 77.78" in text
    assert f"mAP {100 * result.mAP:.2f}, " in text
    assert f"mINP {100 * result.mINP:.2f}\n" in text
    assert "9 queries counted, 1 without a match scored 0;" in text


@pytest.mark.parametrize(
    ("name", "gallery", "distractors", "left_out"),
    [
        ("market", 37, 5, 0),
        ("minus-queries", 36, 5, 1),
        ("no-distractors", 32, 0, 5),
        ("minus-queries-no-distractors", 31, 0, 6),
    ],
)
def test_junk_and_what_a_protocol_leaves_out_are_told_apart(sides, name, gallery, distractors, left_out):
    result = evaluate_distances(*sides, protocol(name))
    numbers = result.numbers()
    found = (numbers[key] for key in ("gallery", "distractors", "left_out", "junk"))
    assert tuple(found) == (gallery, distractors, left_out, 3)
    rule = result.protocol.gallery
    told = (
        f"gallery {gallery} ({rule}), of these {distractors} distractors; {left_out} left out by the protocol"
    )
    assert f"{told}, 3 junk removed;" in str(result)


def test_the_tie_of_a_result_is_the_one_that_was_used(sides):
    rules = protocol("market")
    for tie, told in ((1e-7, "1e-07"), (0.25, "0.25"), (0, "0")):
        result = evaluate_distances(*sides, rules, tie=tie)
        assert result.tie == tie
        assert f"ties within {told}: pessimistic" in str(result)
    assert evaluate_distances(*sides, rules).tie == 1e-9
    features, labels = np.eye(3)[[0, 0, 1]], Labels([1, 1, 2], [1, 2, 1])
    assert evaluate(features, features, labels, labels, rules, tie=1e-6).tie == 1e-6
    assert evaluate(features, features, labels, labels, rules).tie == 1e-9


@pytest.mark.parametrize("tie", [0.0, 0.25])
def test_a_distance_at_the_very_edge_of_a_tie_ties(tie):
    labels = Labels([1], [1]), Labels([1, 2], [2, 2]), protocol("market")
    assert evaluate_distances(np.array([[0.5, 0.5 + tie]]), *labels, tie=tie).rank1 == 0
    assert evaluate_distances(np.array([[0.5, 0.5 + tie + 1e-9]]), *labels, tie=tie).rank1 == 1
