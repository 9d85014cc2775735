"""Ranked lists: what a query finds, nearest first, by the rules of the protocol that scored it."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.config.params import ResolvedEvaluate
from sttreid.retrieval.labels import candidates
from sttreid.retrieval.scoring import labels_of, reranked, rules


def hardest(queries: pd.DataFrame, count: int) -> list[int]:
    """The queries with the lowest average precision, at most one an identity, who must not fill a page.

    Args:
        queries: per-query results of one model on one data set, with query, identity and ap.
        count: how many at most.
    """
    counted = queries[queries["ap"].notna()].sort_values(["ap", "query"], kind="stable")
    return [int(query) for query in counted.drop_duplicates("identity")["query"].head(count)]


def evenly(queries: pd.DataFrame, count: int) -> list[int]:
    """Queries at even steps from the lowest to the highest average precision: failures are not all."""
    counted = queries[queries["ap"].notna()].sort_values(["ap", "query"], kind="stable")["query"].to_numpy()
    count = min(count, len(counted))
    steps = (2 * np.arange(count) + 1) * len(counted) // (2 * max(count, 1))
    return [int(query) for query in counted[steps]]


def nearest(
    features: Tensor, roles: pd.DataFrame, settings: ResolvedEvaluate, asked: list[int], count: int
) -> pd.DataFrame:
    """The nearest answers of some queries, and the first right one where it comes later.

    Args:
        features: [N, D] rows of length 1, of all who have a role in the test.
        roles: N rows of :meth:`sttreid.tracklets.store.Store.gallery`.
        settings: protocol and re-ranking.
        asked: tracklets that ask.
        count: answers of a list.

    Returns:
        One row an answer: query, rank (from 1), tracklet, identity, camera, distance (cosine, or re-ranked)
        and right. At equal distances wrong answers rank first.
    """
    query, labels = labels_of(roles)
    asking, there = np.flatnonzero(roles["query"]), np.flatnonzero(roles["gallery"])
    number, answers = roles["tracklet"].to_numpy(), roles.iloc[there]
    rows = np.array([np.flatnonzero(number[asking] == one)[0] for one in asked], np.int64)
    distances = _distances(features[asking], features[there], labels.junk, settings, rows)
    ranked = candidates(query, labels, rules(settings))
    tables = []
    for row, line in zip(rows, distances, strict=True):
        rows_of_query, is_match = ranked.of_query(int(row))
        order = np.lexsort((number[there[rows_of_query]], is_match, line[rows_of_query]))
        order, right = rows_of_query[order], is_match[order]
        ranks = np.arange(1, len(order) + 1)
        shown = (ranks <= count) | (np.cumsum(right) * right == 1)
        found = answers.iloc[order[shown]][["tracklet", "identity", "camera"]].reset_index(drop=True)
        told = {"rank": ranks[shown], "distance": line[order[shown]], "right": right[shown]}
        tables.append(found.assign(query=number[asking][row], **told))
    return pd.concat(tables, ignore_index=True)


def _distances(
    asking: Tensor,
    there: Tensor,
    junk: NDArray[np.bool_],
    settings: ResolvedEvaluate,
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """[len(rows), G] as the evaluation ranks by; rows count those of ``asking`` [Q, D]."""
    if settings.rerank.enabled:
        return reranked(asking, there, junk, settings.rerank).astype(np.float64)[rows]
    cosines: NDArray[np.float64] = (asking[torch.from_numpy(rows)].double() @ there.double().T).numpy()
    return 1 - cosines
