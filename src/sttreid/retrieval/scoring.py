"""Tracklet store -> result of a network or a colour histogram on the test split."""

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.config.evaluation import ResolvedEvaluate
from sttreid.embedding import Precision, embed_tracklets
from sttreid.model.network import Network
from sttreid.retrieval.evaluation import check_lengths, evaluate, evaluate_distances
from sttreid.retrieval.features import Features
from sttreid.retrieval.histogram import histograms
from sttreid.retrieval.labels import Integers, Labels, candidates
from sttreid.retrieval.open_set import with_strangers
from sttreid.retrieval.protocol import Protocol, protocol
from sttreid.retrieval.rerank import rerank
from sttreid.retrieval.result import Result
from sttreid.tracklets.store import DISTRACTORS, Store

RERANKED_TIE: Final = 1e-6  # re-ranked distances are of single precision


def score_network(
    network: Network,
    store: Store,
    settings: ResolvedEvaluate,
    embed_batch: int,
    precision: Precision = "fp32",
    *,
    flip: bool,
) -> Result:
    """Embed the test tracklets with a network and score them, on the network's device.

    The per-query table has the columns of :func:`sttreid.retrieval.open_set.with_strangers`, too.

    Args:
        network: embeds the tracklets.
        store: with a test split.
        settings: protocol and re-ranking.
        embed_batch: clips that are embedded at once.
        precision: of the embedding, see :func:`sttreid.embedding.encoder`.
        flip: whether the mirror image of each clip is embedded too.

    Raises:
        InputError: the store has no test split, a feature is not finite, or no query has a match.
    """
    gallery = store.gallery()
    features = embed_tracklets(network, store, gallery, embed_batch, precision, flip=flip)
    return _score(features, gallery, settings, next(network.parameters()).device)


def score_histogram(store: Store, settings: ResolvedEvaluate, *, equalised: bool) -> Result:
    """Score a colour histogram, plain or equalised; arguments as for :func:`score_network`.

    The cosine similarity of square roots of histograms is their Bhattacharyya coefficient.

    Raises:
        InputError: the images are too small, the store has no test split, or no query has a match.
    """
    gallery = store.gallery()
    features = histograms(store, gallery, equalised).double().sqrt()
    return _score(features, gallery, settings, torch.device("cpu"))


def rules(settings: ResolvedEvaluate) -> Protocol:
    """The protocol; its name marks re-ranked results, which must not be compared with plain ones."""
    plain = protocol(settings.protocol)
    reranking = settings.rerank
    if not reranking.enabled:
        return plain
    note = f" Distances are re-ranked: k1 {reranking.k1}, k2 {reranking.k2}, weight {reranking.weight:g}."
    return replace(plain, name=f"{plain.name}-reranked", source=plain.source + note)


def _score(
    features: Tensor, gallery: pd.DataFrame, settings: ResolvedEvaluate, device: torch.device
) -> Result:
    def without(people: Integers) -> Result:
        kept = gallery["gallery"] & ~gallery["identity"].isin(people)
        return _evaluate(features, gallery.assign(gallery=kept), settings, device)

    return with_strangers(_evaluate(features, gallery, settings, device), without)


def _evaluate(
    features: Tensor, gallery: pd.DataFrame, settings: ResolvedEvaluate, device: torch.device
) -> Result:
    query_labels, gallery_labels = labels_of(gallery)
    query_features = _select(features, gallery["query"])
    gallery_features = _select(features, gallery["gallery"])
    if not settings.rerank.enabled:
        return evaluate(
            query_features.to(device),
            gallery_features,
            query_labels,
            gallery_labels,
            rules(settings),
            threads=torch.get_num_threads(),
        )
    distances = reranked(query_features, gallery_features, query_labels, gallery_labels, settings)
    return evaluate_distances(distances, query_labels, gallery_labels, rules(settings), tie=RERANKED_TIE)


def reranked(
    query_features: Features,
    gallery_features: Features,
    query: Labels,
    gallery: Labels,
    settings: ResolvedEvaluate,
) -> NDArray[np.float32]:
    """[Q, G] re-ranked distances of queries [Q, D] to a gallery [G, D].

    What the protocol never ranks, such as junk, is left out, because it would change the neighbours of other
    tracklets; its columns are NaN.

    Raises:
        InputError: lengths disagree; as :func:`sttreid.retrieval.labels.candidates`, before distances are
            computed, and :func:`sttreid.retrieval.rerank.rerank`.
    """
    check_lengths(query_features, gallery_features, query, gallery)
    kept, how = candidates(query, gallery, rules(settings)).rows, settings.rerank
    found = rerank(query_features, gallery_features[kept], how.k1, how.k2, how.weight)
    if len(kept) == len(gallery):
        return found
    distances = np.full((len(query), len(gallery)), np.nan, np.float32)
    distances[:, kept] = found
    return distances


def _select(features: Tensor, mask: pd.Series) -> Tensor:
    return features if mask.all() else features[np.flatnonzero(mask)]


def labels_of(gallery: pd.DataFrame) -> tuple[Labels, Labels]:
    """The labels of a test's queries and of its gallery; a tracklet may be in both.

    Args:
        gallery: rows with the columns identity, camera, split, query, gallery and junk, as from
            :meth:`sttreid.tracklets.store.Store.gallery`.

    Returns:
        The labels of the Q queries and those of the G gallery tracklets, both in the order of the rows.
    """
    labels = Labels(
        gallery["identity"],
        gallery["camera"],
        query=gallery["query"],
        distractor=(gallery["split"] == DISTRACTORS) & ~gallery["junk"],
        junk=gallery["junk"],
    )
    return labels.take(np.flatnonzero(gallery["query"])), labels.take(np.flatnonzero(gallery["gallery"]))


def query_table(result: Result, store: Store) -> pd.DataFrame:
    """The per-query table of a result on a store, for failure analysis.

    Args:
        result: of :func:`score_network` or :func:`score_histogram` on the store.
        store: the same.

    Returns:
        The columns of ``result.per_query``, those for strangers included, in which query, best_match and
        best_wrong are now tracklet numbers; and, for the query's tracklet, length (frames) and visibility (0
        to 1, the mean over its frames, NaN where the data set does not have it).
    """
    gallery = store.gallery()
    query = gallery[gallery["query"]].reset_index(drop=True)
    number = np.append(gallery["tracklet"][gallery["gallery"]].to_numpy(), -1)  # -1, for none, stays -1
    visibility = store.index.groupby("tracklet")["visibility"].mean()
    return result.per_query.assign(
        query=query["tracklet"],
        best_match=number[result.per_query["best_match"]],
        best_wrong=number[result.per_query["best_wrong"]],
        length=query["length"],
        visibility=query["tracklet"].map(visibility),
    )
