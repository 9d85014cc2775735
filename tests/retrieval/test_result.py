"""Every number of a result has its own name, in the numbers and in the text."""

import numpy as np
import pytest

from sttreid.retrieval import METRICS, Labels, evaluate, evaluate_distances, protocol

HITS = (1, 2, 5, 6, 10, 11, 20, 21)  # rank of the first match of each query; a ninth query has none
JUNK, DISTRACTORS, GALLERY = (32, 33, 34), 35, 40


@pytest.fixture
def sides():
    """Query k's only match is column k, after as many of the 24 negatives as its rank says."""
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


def test_unmatched_queries_score_zero_in_every_metric(sides):
    result = evaluate_distances(*sides, protocol("no-distractors"))
    numbers = result.numbers()
    assert [numbers[f"rank{k}"] for k in (1, 5, 10, 20)] == pytest.approx([1 / 9, 3 / 9, 5 / 9, 7 / 9])
    assert numbers["mINP"] == pytest.approx(sum(1 / hit for hit in HITS) / 9)
    assert (numbers["queries"], numbers["unmatched"]) == (9, 1)


def test_numbers_and_text_contain_every_metric(sides):
    result = evaluate_distances(*sides, protocol("market"))
    numbers, text = result.numbers(), str(result)
    assert (result.rank1, result.mAP, result.mINP) == tuple(numbers[k] for k in ("rank1", "mAP", "mINP"))
    for metric in METRICS:
        assert numbers[metric.name] == result.metrics[metric.name] == metric.mean(result.per_query)
        assert f"{metric.label} {metric.text(numbers[metric.name], 2)}" in text


@pytest.mark.parametrize(
    ("name", "gallery", "distractors", "left_out"),
    [
        ("market", 37, 5, 0),
        ("minus-queries", 36, 5, 1),
        ("no-distractors", 32, 0, 5),
        ("minus-queries-no-distractors", 31, 0, 6),
    ],
)
def test_junk_and_what_a_protocol_leaves_out_are_counted_apart(sides, name, gallery, distractors, left_out):
    result = evaluate_distances(*sides, protocol(name))
    numbers = result.numbers()
    counts = tuple(numbers[key] for key in ("gallery", "distractors", "left_out", "junk"))
    assert counts == (gallery, distractors, left_out, 3)
    for part in (
        f"gallery {gallery}",
        result.protocol.gallery,
        f"{distractors} distractors",
        f"{left_out} left out",
    ):
        assert part in str(result)


def test_the_tie_of_a_result_is_the_one_that_was_used(sides):
    rules = protocol("market")
    for tie, shown in ((1e-7, "1e-07"), (0.25, "0.25"), (0, "0")):
        result = evaluate_distances(*sides, rules, tie=tie)
        assert result.tie == tie
        assert f"ties within {shown}: pessimistic" in str(result)
    assert evaluate_distances(*sides, rules).tie == 1e-9
    features, labels = np.eye(3)[[0, 0, 1]], Labels([1, 1, 2], [1, 2, 1])
    assert evaluate(features, features, labels, labels, rules, tie=1e-6).tie == 1e-6
    assert evaluate(features, features, labels, labels, rules, tie=0).tie == 1e-12
    assert evaluate(features, features, labels, labels, rules).tie == 1e-9


@pytest.mark.parametrize("tie", [0.0, 0.25])
def test_a_distance_at_the_very_edge_of_a_tie_ties(tie):
    labels = Labels([1], [1]), Labels([1, 2], [2, 2]), protocol("market")
    assert evaluate_distances(np.array([[0.5, 0.5 + tie]]), *labels, tie=tie).rank1 == 0
    assert evaluate_distances(np.array([[0.5, 0.5 + tie + 1e-9]]), *labels, tie=tie).rank1 == 1
