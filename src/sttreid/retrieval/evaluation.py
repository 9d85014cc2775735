"""Features of a test's gallery -> its score: every test tracklet asks all the others once."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from sttreid.data.store import TEST
from sttreid.distances import cosine
from sttreid.errors import InputError
from sttreid.retrieval.metrics import Result, evaluate
from sttreid.retrieval.protocol import Protocol

DIGITS = 9  # of a distance; what differs less is a tie, so that rounding noise never decides a rank


def asking(gallery: pd.DataFrame) -> NDArray[np.bool_]:
    """[G] which tracklets of a gallery are queries: those of the test split, not the distractors."""
    mask: NDArray[np.bool_] = np.array(gallery["split"] == TEST)  # its own memory: torch warns of shared ones
    return mask


def score(features: Tensor, gallery: pd.DataFrame, protocol: Protocol) -> Result:
    """Cosine distances of the queries to the whole gallery, then :func:`sttreid.retrieval.metrics.evaluate`.

    The distances are computed in double precision: in single precision two equal features need not be exactly
    as far from a third one, and a collapsed network would be ranked by noise.

    Args:
        features: [G, D], one row a tracklet, of any length.
        gallery: [G] rows with the columns identity, camera and split, in the same order, as from
            :meth:`sttreid.data.store.Store.gallery`.

    Raises:
        InputError: the numbers of rows disagree, or a feature is not finite.
    """
    if len(features) != len(gallery):
        raise InputError(f"{len(gallery)} tracklets need as many features, got {len(features)}")
    broken = (~features.isfinite().all(dim=1)).nonzero().flatten().tolist()
    if broken:
        row = broken[0]
        raise InputError(f"features: row {row} must be finite, got {features[row, :3].tolist()} ...")
    distances = cosine(features[asking(gallery)].double(), features.double())
    return score_distances(distances, gallery, protocol)


def score_similarities(similarities: Tensor, gallery: pd.DataFrame, protocol: Protocol) -> Result:
    """As :func:`score`, from a [Q, G] matrix in which larger is more alike (the histogram baseline)."""
    return score_distances(1.0 - similarities.double(), gallery, protocol)


def score_distances(distances: Tensor, gallery: pd.DataFrame, protocol: Protocol) -> Result:
    """As :func:`score`, from a [Q, G] matrix of distances; its rows are the queries, in order."""
    queries = gallery[asking(gallery)]
    expected, found = (len(queries), len(gallery)), tuple(distances.shape)
    if found != expected:
        raise InputError(
            f"{expected[0]} queries and {expected[1]} tracklets need {expected} distances, got {found}"
        )
    rounded = np.round(distances.numpy(), DIGITS)
    return evaluate(rounded, *_labels(queries), *_labels(gallery), protocol)


def _labels(tracklets: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return tracklets["identity"].to_numpy(np.int64), tracklets["camera"].to_numpy(np.int64)
