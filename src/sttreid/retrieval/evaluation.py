"""Features of a test split -> its score: every tracklet asks all the others once."""

import numpy as np
import pandas as pd
from torch import Tensor

from sttreid.distances import cosine
from sttreid.errors import InputError
from sttreid.retrieval.metrics import Result, evaluate
from sttreid.retrieval.protocol import Protocol

DIGITS = 9  # of a distance; what differs less is a tie, so that rounding noise never decides a rank


def score(features: Tensor, tracklets: pd.DataFrame, protocol: Protocol) -> Result:
    """Cosine distances between all tracklets of a split, then :func:`sttreid.retrieval.metrics.evaluate`.

    The distances are computed in double precision: in single precision two equal features need not be exactly
    as far from a third one, and a collapsed network would be ranked by noise.

    Args:
        features: [G, D], one row a tracklet, of any length.
        tracklets: [G] rows with the columns identity and camera, in the same order.

    Raises:
        InputError: the numbers of rows disagree, or a feature is not finite.
    """
    broken = (~features.isfinite().all(dim=1)).nonzero().flatten().tolist()
    if broken:
        row = broken[0]
        raise InputError(f"features: row {row} must be finite, got {features[row, :3].tolist()} ...")
    distances = cosine(features.double(), features.double())
    return score_distances(distances, tracklets, protocol)


def score_similarities(similarities: Tensor, tracklets: pd.DataFrame, protocol: Protocol) -> Result:
    """As :func:`score`, from a [G, G] matrix in which larger is more alike (the histogram baseline)."""
    return score_distances(1.0 - similarities.double(), tracklets, protocol)


def score_distances(distances: Tensor, tracklets: pd.DataFrame, protocol: Protocol) -> Result:
    """As :func:`score`, from a [G, G] matrix of distances."""
    count = len(tracklets)
    if distances.shape != (count, count):
        shape = tuple(distances.shape)
        raise InputError(f"{count} tracklets need as many rows and columns of distances, got {shape}")
    identities = tracklets["identity"].to_numpy(np.int64)
    cameras = tracklets["camera"].to_numpy(np.int64)
    rounded = np.round(distances.numpy(), DIGITS)
    return evaluate(rounded, identities, cameras, identities, cameras, protocol)
