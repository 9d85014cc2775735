"""Ranked lists follow the protocol, as the ranking by its definition does."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from sttreid.config.evaluation import Rerank, ResolvedEvaluate
from sttreid.retrieval.evaluation import evaluate
from sttreid.retrieval.ranked_lists import ranked_lists
from sttreid.retrieval.scoring import labels_of, rules

PLAIN = Rerank(enabled=False, k1=3, k2=2, weight=0.3)


def roles(count=40):
    rng, number = np.random.default_rng(0), np.arange(count)
    identity = np.where(number < 30, rng.integers(0, 6, count), 50 + number)
    columns = {"tracklet": 100 + number, "identity": identity, "camera": rng.integers(1, 4, count)}
    split = np.where(number < 30, "test", "distractors")
    return pd.DataFrame(columns).assign(split=split, query=number < 30, gallery=True, junk=False)


def features(count=40):
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(1)), dim=1)


@pytest.mark.parametrize("name", ["embedded", "ilids-1", "no-distractors"])
def test_a_list_is_the_ranking_without_what_the_protocol_excludes(name):
    table, space = roles(), features()
    lists = ranked_lists(space, table, ResolvedEvaluate(protocol=name, rerank=PLAIN), [103, 117], 7)
    for row, query in ((3, 103), (17, 117)):
        expected = []
        for other in range(len(table)):
            camera = table["camera"][other] == table["camera"][row]
            same = table["identity"][other] == table["identity"][row]
            excluded = camera if name == "ilids-1" else camera and same
            if not excluded and not (name == "no-distractors" and table["split"][other] == "distractors"):
                distance = 1 - float(space[row].double() @ space[other].double())
                expected.append((distance, bool(same), int(table["tracklet"][other])))
        expected.sort()
        shown = lists[lists["query"] == query].head(7)
        assert shown["tracklet"].tolist() == [number for _, _, number in expected[:7]]
        assert shown["correct"].tolist() == [same for _, same, _ in expected[:7]]
        assert shown["distance"].to_numpy() == pytest.approx([distance for distance, _, _ in expected[:7]])


def test_the_first_match_is_the_last_row_where_it_comes_late():
    table, space = roles(), features()
    settings = ResolvedEvaluate(protocol="embedded", rerank=PLAIN)
    query, gallery = labels_of(table)
    result = evaluate(space[gallery.query], space, query, gallery, rules(settings))
    for row, first in enumerate(result.per_query["first_hit"]):
        shown = ranked_lists(space, table, settings, [100 + row], 2)
        if not first:
            assert not shown["correct"].any()
            continue
        assert shown.loc[shown["correct"], "rank"].iloc[0] == first
        assert len(shown) == (3 if first > 2 else 2)


def test_a_re_ranked_list_has_the_re_ranked_distances():
    reranked = Rerank(enabled=True, k1=3, k2=2, weight=0.0)
    plain, again = (
        ranked_lists(features(), roles(), ResolvedEvaluate(protocol="embedded", rerank=rerank), [100], 5)
        for rerank in (PLAIN, reranked)
    )
    assert again["distance"].is_monotonic_increasing
    assert again["distance"].tolist() != plain["distance"].tolist()
