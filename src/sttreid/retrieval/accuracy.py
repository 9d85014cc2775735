"""Stores -> scores: what the stages ask of a network, or of a colour histogram, on the test split."""

import numpy as np
import pandas as pd

from sttreid.data.store import DISTRACTORS, TEST, Store
from sttreid.model.network import Network
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.retrieval.evaluation import evaluate, evaluate_distances
from sttreid.retrieval.histogram import histograms, similarity
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.metrics import Result
from sttreid.retrieval.protocol import Protocol


def score_network(network: Network, store: Store, batch: int, rules: Protocol) -> Result:
    """Embed a test's gallery with a network, ``batch`` clips at once, and score it by a protocol."""
    gallery = store.gallery()
    features = embed_tracklets(network, store, gallery, batch)
    query, labels = sides(gallery)
    device = next(network.parameters()).device
    return evaluate(features[labels.query], features, query, labels, rules, device=device)


def score_histogram(store: Store, equalised: bool, rules: Protocol) -> Result:
    """As :func:`score_network`, for a colour histogram, plain or equalised."""
    gallery = store.gallery()
    features = histograms(store, gallery, equalised).double()  # so that rounding noise stays below a tie
    query, labels = sides(gallery)
    return evaluate_distances(1.0 - similarity(features[labels.query], features), query, labels, rules)


def sides(gallery: pd.DataFrame) -> tuple[Labels, Labels]:
    """Labels of a test's two sides: its split asks; the same tracklets and the distractors answer.

    Args:
        gallery: G rows with the columns identity, camera and split, as from
            :meth:`sttreid.data.store.Store.gallery`.

    Returns:
        The labels of the queries, in the gallery's order, and those of all G rows.
    """
    split = gallery["split"]
    labels = Labels(
        gallery["identity"], gallery["camera"], query=split == TEST, distractor=split == DISTRACTORS
    )
    return labels.take(np.flatnonzero(labels.query)), labels


def queries(result: Result, store: Store) -> pd.DataFrame:
    """One row a query, for failure analysis: who asked, how it went, and what made it hard.

    Args:
        result: of :func:`score_network` or :func:`score_histogram` on the store.
        store: the same.

    Returns:
        The columns of ``result.per_query``, in which query, best_match and best_wrong are now numbers of
        tracklets, and of the query's tracklet: length (frames) and visibility (0 to 1, the mean over its
        frames, NaN where the data set does not know it).
    """
    gallery = store.gallery()
    asked = gallery[gallery["split"] == TEST].reset_index(drop=True)
    number = np.append(gallery["tracklet"].to_numpy(), -1)  # -1, for none, stays itself
    visibility = store.index.groupby("tracklet")["visibility"].mean()
    return result.per_query.assign(
        query=asked["tracklet"],
        best_match=number[result.per_query["best_match"]],
        best_wrong=number[result.per_query["best_wrong"]],
        length=asked["length"],
        visibility=asked["tracklet"].map(visibility),
    )
