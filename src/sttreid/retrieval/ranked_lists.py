"""Features and a protocol -> the nearest gallery tracklets of queries, as the evaluation ranks them."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from sttreid.config.evaluation import ResolvedEvaluate
from sttreid.retrieval.evaluation import TIE
from sttreid.retrieval.features import Doubles, FeatureRows, cosines
from sttreid.retrieval.labels import Integers, Labels, candidates
from sttreid.retrieval.scoring import RERANKED_TIE, labels_of, reranked, rules


def ranked_lists(
    features: Tensor, roles: pd.DataFrame, settings: ResolvedEvaluate, queries: Sequence[int], top_k: int
) -> pd.DataFrame:
    """The nearest gallery tracklets of queries, and the first match if its rank is beyond ``top_k``.

    Args:
        features: [N, D] rows of any nonzero norm.
        roles: N rows of :meth:`sttreid.tracklets.store.Store.gallery`.
        settings: protocol and re-ranking.
        queries: tracklet numbers.
        top_k: length of a list.

    Returns:
        A row for each place: query, rank (from 1), tracklet, identity, camera, distance (cosine, or
        re-ranked) and correct. At distances that the evaluation ties, matches come last, so that ranks are
        those of the evaluation.
    """
    query_labels, gallery_labels = labels_of(roles)
    is_query, gallery = roles["query"].to_numpy(), roles[roles["gallery"]].reset_index(drop=True)
    numbers = roles["tracklet"].to_numpy()[is_query].tolist()
    sides = features[np.flatnonzero(is_query)], features[np.flatnonzero(roles["gallery"])]
    tie = RERANKED_TIE if settings.rerank.enabled else TIE
    distances = _distances(*sides, query_labels, gallery_labels, settings)
    ranked, tables = candidates(query_labels, gallery_labels, rules(settings)), []
    for query in queries:
        row = numbers.index(query)
        columns, correct = ranked.of_query(row)
        distance = distances(row, columns)
        table = gallery.loc[columns, ["tracklet", "identity", "camera"]]
        table = table.assign(query=query, distance=distance, correct=correct, latest=distance + tie * correct)
        table = table.sort_values(["latest", "correct", "tracklet"]).drop(columns="latest")
        table = table.assign(rank=np.arange(1, len(table) + 1))
        first = table["correct"] & (table["correct"].cumsum() == 1)
        tables.append(table[(table["rank"] <= top_k) | first])
    return pd.concat(tables, ignore_index=True)


def _distances(
    query_features: Tensor,
    gallery_features: Tensor,
    query: Labels,
    gallery: Labels,
    settings: ResolvedEvaluate,
) -> Callable[[int, Integers], Doubles]:
    """A query and gallery rows -> their distances: plain ones are computed when they are asked for."""
    if settings.rerank.enabled:
        matrix = reranked(query_features, gallery_features, query, gallery, settings)
        return lambda row, columns: matrix[row, columns].astype(np.float64)
    left = FeatureRows("query", query_features, np.arange(len(query)))
    right = FeatureRows("gallery", gallery_features, np.arange(len(gallery)))
    return lambda row, columns: 1 - cosines(left, right, np.full(len(columns), row), columns)
