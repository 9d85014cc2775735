"""Ranked lists follow the protocol, as the ranking by its definition does."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from sttreid.config.evaluation import Rerank, ResolvedEvaluate
from sttreid.retrieval.evaluation import evaluate, evaluate_distances
from sttreid.retrieval.ranked_lists import ranked_lists
from sttreid.retrieval.scoring import RERANKED_TIE, labels_of, reranked, rules

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


@pytest.mark.parametrize("rerank", [PLAIN, Rerank(enabled=True, k1=3, k2=2, weight=0.3)])
def test_ranks_are_those_of_the_evaluation_where_distances_tie(rerank):
    """Copies of a few rows that float32 normalisation leaves at lengths of about 1."""
    random = torch.Generator().manual_seed(0)
    few = torch.randn(5, 64, generator=random)[torch.randint(0, 5, (40,), generator=random)]
    space, table = F.normalize(few * torch.rand(40, 1, generator=random), dim=1), roles()
    settings = ResolvedEvaluate(protocol="embedded", rerank=rerank)
    query, gallery = labels_of(table)
    if rerank.enabled:
        distances = reranked(space[gallery.query], space, query, gallery, settings)
        result = evaluate_distances(distances, query, gallery, rules(settings), tie=RERANKED_TIE)
    else:
        result = evaluate(space[gallery.query], space, query, gallery, rules(settings))
    matched = np.flatnonzero(result.per_query["first_hit"])
    assert len(matched) > 20
    for row in matched.tolist():
        shown = ranked_lists(space, table, settings, [100 + row], 3)
        assert shown.loc[shown["correct"], "rank"].iloc[0] == result.per_query["first_hit"][row]


def test_a_list_needs_no_distances_of_other_queries():
    """2,000 queries x 2,000 tracklets in double precision are 32 MB."""
    number = np.arange(2000)
    table = pd.concat([roles()] * 50, ignore_index=True).assign(tracklet=number, identity=number // 2)
    space = features(2000)
    tracemalloc.start()
    try:
        ranked_lists(space, table, ResolvedEvaluate(protocol="embedded", rerank=PLAIN), [3], 5)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
