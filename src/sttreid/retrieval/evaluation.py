"""The two ways to evaluate: from features, with the gallery streaming past, or from a matrix of distances.

from sttreid.retrieval import Labels, evaluate, protocol

query = Labels(query_identities, query_cameras)
gallery = Labels(identities, cameras, query=asked_rows, distractor=identities == 0, junk=identities == -1)
print(evaluate(query_features, gallery_features, query, gallery, protocol("mars-official")))
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.retrieval.labels import Labels, pair
from sttreid.retrieval.matrix import rank_matrix
from sttreid.retrieval.metrics import Result, score
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.ranks import rank
from sttreid.retrieval.rows import Array, as_array
from sttreid.retrieval.tiles import NOISE
from sttreid.runtime.errors import InputError

TIE = 1e-9  # far above the rounding of double precision, far below any difference that means something


def evaluate(
    query_features: Array,
    gallery_features: Array,
    query: Labels,
    gallery: Labels,
    protocol: Protocol,
    *,
    tie: float = TIE,
    block: int | None = None,
    device: str | torch.device | None = None,
) -> Result:
    """Score features by cosine similarity: exactly, without a matrix of distances.

    Ranks are those of double precision, whatever the type of the features, the block length or the threads.
    Calls from several threads take turns.

    Args:
        query_features: [Q, D], one row a query of any length but 0; array, memory map or tensor.
        gallery_features: [G, D].
        query: labels of the queries.
        gallery: labels of the gallery, queries that stand in it included.
        protocol: what is left out, which average precision, and what becomes of queries without a match.
        tie: cosines that differ by no more than this are a tie, and the wrong answer ranks first; less than
            1e-12 always is, because double precision rounds.
        block: gallery rows that are held at most, in whole tiles of 1024, one for each thread that torch may
            use (on CUDA one); None: as many. Changes memory, never the result.
        device: where the products are computed; None: CUDA where there is one.

    Raises:
        InputError: lengths or widths disagree, a feature is not finite or all zero (the sentence names its
            row; rows that do not answer are not read), nobody answers, no query has a match, or the device
            is not there.
    """
    for side, features, labels in (("query", query_features, query), ("gallery", gallery_features, gallery)):
        if len(features) != len(labels):
            raise InputError(f"{len(labels)} {side} labels need as many features, got {len(features)}")
    if block is not None and block < 1:
        raise InputError(f"block must be at least 1, got {block}")
    _check_tie(tie)
    pairs = pair(query, gallery, protocol)
    ranks = rank(query_features, gallery_features, pairs, tie, block, _device(device))
    return score(ranks, pairs, query, protocol, max(tie, NOISE))


def evaluate_distances(
    distances: NDArray[np.floating] | Tensor,
    query: Labels,
    gallery: Labels,
    protocol: Protocol,
    *,
    tie: float = TIE,
) -> Result:
    """Score a matrix of distances: re-ranked ones, those of parts, or any other.

    Args:
        distances: [Q, G], smaller is nearer, of any unit and sign.
        query: labels of the rows.
        gallery: labels of the columns.
        protocol: as for :func:`evaluate`.
        tie: distances that differ by no more than this are a tie. Raise it to 1e-6 for distances of about 1
            that were computed in single precision, or rounding noise ranks what is equal.

    Raises:
        InputError: the shape disagrees with the labels, a distance to a row that answers is not finite (the
            sentence names its row and column), nobody answers, or no query has a match.
    """
    _check_tie(tie)
    array = as_array(distances)
    pairs = pair(query, gallery, protocol)
    return score(rank_matrix(array, pairs, len(gallery), tie), pairs, query, protocol, tie)


def _device(wanted: str | torch.device | None) -> torch.device:
    """The device that is asked for; CUDA where there is one if none is."""
    there = torch.cuda.is_available()
    device = torch.device(wanted or ("cuda" if there else "cpu"))
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device must be cpu or a CUDA device, got {device}")
    if device.type == "cuda" and not (there and (device.index or 0) < torch.cuda.device_count()):
        raise InputError(f"device must be one that is there, got {device} with no such CUDA device")
    return device


def _check_tie(tie: float) -> None:
    if not 0 <= tie < np.inf:
        raise InputError(f"tie must be at least 0 and finite, got {tie}")
