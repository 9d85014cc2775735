"""Evaluation from features, while the gallery streams past, or from a matrix of distances.

from sttreid.retrieval import Labels, evaluate

print(evaluate(query_features, gallery_features, (query_ids, query_cams), (ids, cams), "market"))

gallery = Labels(ids, cams, query=is_query, distractor=ids == 0, junk=ids == -1)
print(evaluate(query_features, gallery_features, (query_ids, query_cams), gallery, "mars-official"))
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from sttreid.retrieval.counting import NOISE
from sttreid.retrieval.features import Features, as_array
from sttreid.retrieval.given import as_matrix
from sttreid.retrieval.labels import Labels, candidates
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.protocol import protocol as protocol_named
from sttreid.retrieval.ranking import rank_distances
from sttreid.retrieval.result import Result, score
from sttreid.retrieval.streaming import rank_features
from sttreid.runtime.errors import InputError

TIE: Final = 1e-9  # far above double-precision rounding errors, far below any meaningful difference

Side: TypeAlias = Labels | tuple[ArrayLike, ArrayLike]  # or identities [N] and cameras [N]


def evaluate(
    query_features: Features,
    gallery_features: Features,
    query: Side,
    gallery: Side,
    protocol: Protocol | str = "market",
    *,
    tie: float = TIE,
    threads: int | None = None,
) -> Result:
    """Score features by cosine similarity: exactly, without a distance matrix.

    Ranks are those of double precision, whatever the type of the features and the number of threads.
    Concurrent calls run one at a time.

    Args:
        query_features: [Q, D], one row per query, of any nonzero norm; an array, a memory map or a tensor. If
            they are a CUDA tensor, its device computes the products.
        gallery_features: [G, D].
        query: labels of the queries, or (identities, cameras).
        gallery: labels of the gallery, or (identities, cameras); it may contain the queries.
        protocol: a named protocol of :data:`sttreid.retrieval.protocol.PROTOCOLS`, or its name.
        tie: cosines that differ by no more than this are tied, and the false positive ranks first. Cosines
            that differ by less than 1e-12 are always tied, because double precision rounds.
        threads: at least 1; None: as many as BLAS uses. The result does not depend on them.

    Raises:
        InputError: lengths or widths disagree, a feature is not finite or all zero (the message names its
            row; rows that are not ranked are not read), no gallery entry is ranked, or no query has a match.
    """
    query_features = as_matrix("query features", query_features)
    gallery_features = as_matrix("gallery features", gallery_features)
    query, gallery, rules = _labels(query), _labels(gallery), _protocol(protocol)
    check_lengths(query_features, gallery_features, query, gallery)
    if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
        raise InputError(f"threads must be at least 1, got {threads}")
    _check_tie(tie)
    ranked = candidates(query, gallery, rules)
    ranking = rank_features(query_features, gallery_features, ranked, tie, threads)
    return score(ranking, ranked, query, rules, max(tie, NOISE))


def evaluate_distances(
    distances: Features,
    query: Side,
    gallery: Side,
    protocol: Protocol | str = "market",
    *,
    tie: float = TIE,
) -> Result:
    """Score a matrix of distances of any kind, for example re-ranked ones.

    Args:
        distances: [Q, G] array or tensor, smaller is nearer, of any unit and sign.
        query: labels of the rows, or (identities, cameras).
        gallery: labels of the columns, or (identities, cameras).
        protocol: as for :func:`evaluate`.
        tie: distances that differ by no more than this are tied. Use 1e-6 for single-precision distances of
            about 1; otherwise rounding errors rank equal distances.

    Raises:
        InputError: the shape disagrees with the labels, a distance to a ranked gallery entry is not finite
            (the message names its row and column), no gallery entry is ranked, or no query has a match.
    """
    _check_tie(tie)
    distances = as_matrix("distances", distances)
    query, gallery, rules = _labels(query), _labels(gallery), _protocol(protocol)
    ranked = candidates(query, gallery, rules)
    ranking = rank_distances(as_array(distances), ranked, len(gallery), tie)
    return score(ranking, ranked, query, rules, tie)


def check_lengths(
    query_features: Features, gallery_features: Features, query: Labels, gallery: Labels
) -> None:
    """Raises InputError: a side has not as many features as labels."""
    for side, features, labels in (("query", query_features, query), ("gallery", gallery_features, gallery)):
        if len(features) != len(labels):
            raise InputError(f"{len(labels)} {side} labels need as many features, got {len(features)}")


def _labels(side: Side) -> Labels:
    if isinstance(side, Labels):
        return side
    if not isinstance(side, tuple | list) or len(side) != len(("identities", "cameras")):
        got = f"{len(side)} values" if isinstance(side, tuple | list) else f"a {type(side).__name__}"
        raise InputError(f"labels must be Labels, or a pair of identities and cameras, got {got}")
    return Labels(*side)


def _protocol(protocol: Protocol | str) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    if not isinstance(protocol, str):
        raise InputError(f"protocol must be a Protocol or its name, got {protocol!r:.100}")
    return protocol_named(protocol)


def _check_tie(tie: float) -> None:
    if not isinstance(tie, int | float | np.number) or not 0 <= tie < np.inf:
        raise InputError(f"tie must be at least 0 and finite, got {tie!r:.100}")
