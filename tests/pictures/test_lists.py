"""Ranked lists follow the protocol, as walking down the ranking by its definition does."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from sttreid.config.params import Evaluate, Rerank
from sttreid.pictures.lists import evenly, hardest, nearest
from sttreid.retrieval.accuracy import rules, sides
from sttreid.retrieval.evaluation import evaluate

PLAIN = Rerank(enabled=False, k1=3, k2=2, weight=0.3)


def gallery(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "tracklet": 100 + np.arange(count),
            "identity": np.where(np.arange(count) < 30, rng.integers(0, 6, count), 50 + np.arange(count)),
            "camera": rng.integers(1, 4, count),
            "split": np.where(np.arange(count) < 30, "test", "distractors"),
            "query": np.arange(count) < 30,
            "gallery": True,
            "junk": False,
        }
    )


def features(count=40, seed=1):
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("name", ["embedded", "ilids-1", "no-distractors"])
def test_a_list_is_the_ranking_without_what_the_protocol_takes_away(name):
    table, space = gallery(), features()
    settings = Evaluate(protocol=name, rerank=PLAIN)
    found = nearest(space, table, settings, [103, 117], 7)
    for row, query in ((3, 103), (17, 117)):
        own = found[found["query"] == query]
        expected = []
        for other in range(len(table)):
            camera = table["camera"][other] == table["camera"][row]
            same = table["identity"][other] == table["identity"][row]
            out = camera if name == "ilids-1" else camera and same
            if not out and not (name == "no-distractors" and table["split"][other] == "distractors"):
                distance = 1 - float(space[row].double() @ space[other].double())
                expected.append((distance, bool(same), int(table["tracklet"][other])))
        expected.sort()
        assert own["tracklet"].tolist()[:7] == [number for _, _, number in expected[:7]]
        assert own["right"].tolist()[:7] == [right for _, right, _ in expected[:7]]
        assert own["distance"].to_numpy()[:7] == pytest.approx([distance for distance, _, _ in expected[:7]])


def test_the_first_right_answer_is_the_last_row_where_it_comes_late():
    table, space = gallery(), features()
    settings = Evaluate(protocol="embedded", rerank=PLAIN)
    query, labels = sides(table)
    result = evaluate(space[labels.query], space, query, labels, rules(settings))
    for row, first in enumerate(result.per_query["first_hit"]):
        found = nearest(space, table, settings, [100 + row], 2)
        if not first:  # nobody matches
            assert not found["right"].any()
            continue
        assert found.loc[found["right"], "rank"].iloc[0] == first
        assert len(found) == (3 if first > 2 else 2)


def test_a_re_ranked_list_has_the_re_ranked_distances():
    table, space = gallery(), features()
    again = Evaluate(protocol="embedded", rerank=Rerank(enabled=True, k1=3, k2=2, weight=0.0))
    plain = nearest(space, table, Evaluate(protocol="embedded", rerank=PLAIN), [100], 5)
    found = nearest(space, table, again, [100], 5)
    assert found["distance"].is_monotonic_increasing
    assert found["distance"].tolist() != plain["distance"].tolist()


QUERIES = pd.DataFrame(
    {"query": [5, 4, 3, 2, 1], "identity": [1, 1, 2, 3, 3], "ap": [0.1, 0.05, 0.5, 0.3, np.nan]}
)


def test_the_hardest_queries_are_one_an_identity():
    assert hardest(QUERIES, 2) == [4, 2]
    assert hardest(QUERIES, 9) == [4, 2, 3]


def test_even_steps_are_the_middles_of_equal_parts():
    assert evenly(QUERIES, 2) == [5, 3]
    assert evenly(QUERIES, 9) == [4, 5, 2, 3]
    assert evenly(QUERIES, 0) == []
