"""Stores -> scores: what the stages ask of a network, or of a colour histogram, on the test split."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.config.params import Compute, Evaluate, Rerank
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.retrieval.evaluation import evaluate, evaluate_distances
from sttreid.retrieval.histogram import histograms
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.metrics import Result
from sttreid.retrieval.protocol import Protocol, protocol
from sttreid.retrieval.rerank import rerank
from sttreid.tracklets.store import DISTRACTORS, Store

COARSE = 1e-6  # a tie of re-ranked distances, which are of single precision


def score_network(network: Network, store: Store, compute: Compute, settings: Evaluate) -> Result:
    """Embed a test's gallery with a network and score it, on the device where the network lies."""
    gallery = store.gallery()
    features = embed_tracklets(network, store, gallery, compute.embed_batch, compute.precision)
    return _score(features, gallery, settings, next(network.parameters()).device)


def score_histogram(store: Store, equalised: bool, settings: Evaluate) -> Result:
    """As :func:`score_network`, for a colour histogram, plain or equalised.

    The cosine similarity of square roots of histograms is their Bhattacharyya coefficient.
    """
    gallery = store.gallery()
    return _score(
        histograms(store, gallery, equalised).double().sqrt(), gallery, settings, torch.device("cpu")
    )


def rules(settings: Evaluate) -> Protocol:
    """The protocol that the settings name; re-ranked numbers get a name of their own, never to be mixed."""
    plain = protocol(settings.protocol or "")
    again = settings.rerank
    if not again.enabled:
        return plain
    told = f" Distances are re-ranked: k1 {again.k1}, k2 {again.k2}, weight {again.weight:g}."
    return replace(plain, name=f"{plain.name}-reranked", source=plain.source + told)


def _score(features: Tensor, gallery: pd.DataFrame, settings: Evaluate, device: torch.device) -> Result:
    query, labels = sides(gallery)
    asked, there, again = _of(features, gallery["query"]), _of(features, gallery["gallery"]), settings.rerank
    if not again.enabled:
        return evaluate(asked, there, query, labels, rules(settings), device=device)
    distances = reranked(asked, there, labels.junk, again)
    return evaluate_distances(distances, query, labels, rules(settings), tie=COARSE)


def reranked(asked: Tensor, there: Tensor, junk: NDArray[np.bool_], again: Rerank) -> NDArray[np.float32]:
    """[Q, G] re-ranked distances of queries [Q, D] to a gallery [G, D].

    Junk [G] takes no part, or it would decide who is near whom; its columns are NaN.
    """
    distances = np.full((len(asked), len(there)), np.nan, np.float32)
    kept = np.flatnonzero(~junk)
    distances[:, kept] = rerank(asked, there[kept], again.k1, again.k2, again.weight)
    return distances


def _of(features: Tensor, chosen: pd.Series) -> Tensor:
    return features if chosen.all() else features[np.flatnonzero(chosen)]


def sides(gallery: pd.DataFrame) -> tuple[Labels, Labels]:
    """Labels of a test's two sides: who asks, and who answers; a tracklet may do both.

    Args:
        gallery: rows with the columns identity, camera, split, query, gallery and junk, as from
            :meth:`sttreid.tracklets.store.Store.gallery`.

    Returns:
        The labels of the Q queries and those of the G rows that answer, both in the order of the rows.
    """
    labels = Labels(
        gallery["identity"],
        gallery["camera"],
        query=gallery["query"],
        distractor=(gallery["split"] == DISTRACTORS) & ~gallery["junk"],
        junk=gallery["junk"],
    )
    return labels.take(np.flatnonzero(gallery["query"])), labels.take(np.flatnonzero(gallery["gallery"]))


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
    asked = gallery[gallery["query"]].reset_index(drop=True)
    number = np.append(gallery["tracklet"][gallery["gallery"]].to_numpy(), -1)  # -1, for none, stays itself
    visibility = store.index.groupby("tracklet")["visibility"].mean()
    return result.per_query.assign(
        query=asked["tracklet"],
        best_match=number[result.per_query["best_match"]],
        best_wrong=number[result.per_query["best_wrong"]],
        length=asked["length"],
        visibility=asked["tracklet"].map(visibility),
    )
