"""Accuracy camera by camera: which pairs of views are hard."""

import numpy as np
import pandas as pd

from sttreid.retrieval.evaluation import evaluate
from sttreid.retrieval.labels import Labels, pair
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.rows import Array


def camera_pairs(
    query_features: Array, gallery_features: Array, query: Labels, gallery: Labels, protocol: Protocol
) -> pd.DataFrame:
    """Let the queries of one camera ask the gallery of another one alone.

    A smaller gallery is easier: the rates of pairs compare with each other, not with those of the whole.
    Other breakdowns, by length or visibility of a tracklet, are group means of
    :attr:`sttreid.retrieval.metrics.Result.per_query`.

    Args:
        query_features: [Q, D]; all arguments as for :func:`sttreid.retrieval.evaluation.evaluate`.
        gallery_features: [G, D].
        query: labels of the queries.
        gallery: labels of the gallery.
        protocol: what is followed; queries without a match before the other camera are not asked.

    Returns:
        One row a pair of cameras in which somebody is matched: query_camera, gallery_camera, queries, rank1,
        mAP (fractions).
    """
    tables = []
    answers = pair(query, gallery, protocol).answers
    for camera in np.unique(gallery.camera[answers]).tolist():
        there = answers[gallery.camera[answers] == camera]
        asking = np.flatnonzero((query.camera != camera) & np.isin(query.identity, gallery.identity[there]))
        if len(asking):
            sides = query.take(asking), gallery.take(there)
            result = evaluate(query_features[asking], gallery_features[there], *sides, protocol)
            counted = result.per_query[result.per_query["matches"] > 0]
            first = counted.assign(rank1=counted["first_hit"] == 1).groupby("camera")
            table = first.agg(queries=("ap", "size"), rank1=("rank1", "mean"), mAP=("ap", "mean"))
            tables.append(table.reset_index(names="query_camera").assign(gallery_camera=camera))
    columns = ["query_camera", "gallery_camera", "queries", "rank1", "mAP"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
