"""Features and a protocol -> the nearest gallery tracklets of queries, as the evaluation ranks them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from sttreid.config.evaluation import ResolvedEvaluate
from sttreid.retrieval.labels import candidates
from sttreid.retrieval.scoring import labels_of, reranked, rules


def ranked_lists(
    features: Tensor, roles: pd.DataFrame, settings: ResolvedEvaluate, queries: Sequence[int], top_k: int
) -> pd.DataFrame:
    """The nearest gallery tracklets of queries, and the first match if its rank is beyond ``top_k``.

    Args:
        features: [N, D] L2-normalised rows.
        roles: N rows of :meth:`sttreid.tracklets.store.Store.gallery`.
        settings: protocol and re-ranking.
        queries: tracklet numbers.
        top_k: length of a list.

    Returns:
        A row for each place: query, rank (from 1), tracklet, identity, camera, distance (cosine, or
        re-ranked) and correct. At equal distances matches come last.
    """
    query_labels, gallery_labels = labels_of(roles)
    is_query, gallery = roles["query"].to_numpy(), roles[roles["gallery"]].reset_index(drop=True)
    numbers = roles["tracklet"].to_numpy()[is_query].tolist()
    query_features, gallery_features = (
        features[np.flatnonzero(is_query)],
        features[np.flatnonzero(roles["gallery"])],
    )
    if settings.rerank.enabled:
        distances = reranked(query_features, gallery_features, gallery_labels.junk, settings.rerank)
    else:
        distances = 1 - (query_features.double() @ gallery_features.double().T).numpy()
    ranked, tables = candidates(query_labels, gallery_labels, rules(settings)), []
    for query in queries:
        row = numbers.index(query)
        columns, correct = ranked.of_query(row)
        table = gallery.loc[columns, ["tracklet", "identity", "camera"]]
        table = table.assign(query=query, distance=distances[row, columns].astype(float), correct=correct)
        table = table.sort_values(["distance", "correct", "tracklet"])
        table = table.assign(rank=np.arange(1, len(table) + 1))
        first = table["correct"] & (table["correct"].cumsum() == 1)
        tables.append(table[(table["rank"] <= top_k) | first])
    return pd.concat(tables, ignore_index=True)
