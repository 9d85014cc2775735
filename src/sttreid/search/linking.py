"""A gallery -> identities across cameras, and how well they agree with labels.

Tracklets are merged by average linkage until the mean distance of two groups exceeds a threshold. Two
tracklets that overlap in time in one video show two people: such a pair has so large a distance that no
average with it falls below a threshold, whatever the sizes of the groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

from sttreid.retrieval.features import FeatureRows
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_text
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery

MOST: Final = 20_000  # tracklets: all pairs are held, 8 bytes each
WIDEST: Final = 2.0  # cosine distances never exceed it

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class IdentityScores:
    """How well identities agree with labels.

    Attributes:
        idf1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking",
            2016: share of the boxes whose identity is matched with their label one to one.
        precision: share of the pairs with one identity that have one label.
        recall: share of the pairs with one label that have one identity.
        f1: harmonic mean of both.
    """

    idf1: float
    precision: float
    recall: float
    f1: float


def link(
    gallery: Gallery, threshold: float | None = None, calibration: Calibration | None = None
) -> Integers:
    """Identities across cameras.

    Args:
        gallery: is not changed; at most ``MOST`` tracklets.
        threshold: largest mean distance of tracklets of one person; None: that of the calibration.
        calibration: of the gallery's model; None: the gallery's own.

    Returns:
        [G] identities from 1, numbered by their first tracklet.

    Raises:
        InputError: there is no threshold, or it is not between 0 and 2; there are too many tracklets, or the
            calibration is of another model.
    """
    calibration = calibration or gallery.calibration
    if threshold is None:
        if calibration is None:
            raise InputError("linking needs a calibration or a threshold, got none")
        if calibration.model != gallery.model.sha256:
            both = f"{calibration.model[:12]} and {gallery.model.sha256[:12]}"
            raise InputError(f"the calibration must be of the gallery's model, got {both}")
        threshold = calibration.threshold
    if not 0 <= threshold <= WIDEST:
        raise InputError(f"the threshold must be a distance between 0 and 2, got {threshold:g}")
    if len(gallery) > MOST:
        raise InputError(f"linking holds all pairs, so at most {MOST} tracklets, got {len(gallery)}")
    if len(gallery) < 2:
        return np.ones(len(gallery), np.int64)
    found = fcluster(linkage(_distances(gallery), "average"), threshold, "distance")
    return np.asarray(pd.factorize(found)[0] + 1, np.int64)


def _distances(gallery: Gallery) -> NDArray[np.float64]:
    """[G * (G - 1) / 2] distances in scipy's order; far too large where tracklets exclude each other."""
    count = len(gallery)
    rows = FeatureRows("gallery", gallery.embeddings, np.arange(count))
    unit = rows.unit64(np.arange(count))
    table = gallery.tracklets
    video = pd.factorize(table["video"])[0]
    first, last = table["first"].to_numpy(), table["last"].to_numpy()
    excluded = 2 * WIDEST * count**2
    parts = []
    for row in range(count - 1):
        others = slice(row + 1, count)
        distance = np.clip(1 - unit[others] @ unit[row], 0, WIDEST)
        overlap = (video[others] == video[row]) & (first[others] <= last[row]) & (first[row] <= last[others])
        distance[overlap] = excluded
        parts.append(distance)
    return np.concatenate(parts)


def score_identities(
    labels: Sequence[Any], identities: Sequence[Any], boxes: Sequence[int] | NDArray[np.integer]
) -> IdentityScores:
    """Compare identities with labels.

    Args:
        labels: [G].
        identities: [G].
        boxes: [G] number of boxes of each tracklet.
    """
    label, identity = pd.factorize(np.asarray(labels))[0], pd.factorize(np.asarray(identities))[0]
    shape = (label.max() + 1, identity.max() + 1)
    weights = np.asarray(boxes, np.float64)
    shared = coo_array((weights, (label, identity)), shape).toarray()
    matched = float(shared[linear_sum_assignment(-shared)].sum())
    counts = coo_array((np.ones(len(label)), (label, identity)), shape).toarray()
    both, of_label, of_identity = (
        _pairs(values) for values in (counts.ravel(), counts.sum(axis=1), counts.sum(axis=0))
    )
    precision = both / of_identity if of_identity else 1.0
    recall = both / of_label if of_label else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return IdentityScores(matched / float(weights.sum()), precision, recall, f1)


def _pairs(counts: NDArray[np.float64]) -> float:
    return float((counts * (counts - 1) / 2).sum())


def write_identities(path: Path, gallery: Gallery, identities: Integers) -> None:
    """Write one line per tracklet: video, camera, track, first, last, global identity, label if there is one.

    Raises:
        InputError: the file cannot be written.
    """
    columns = ["video", "camera", "track", "first", "last", "start", "end"]
    table = gallery.tracklets[columns].assign(
        global_identity=identities, identity=gallery.tracklets["identity"]
    )
    _write(path, table.to_csv(index=False, lineterminator="\n"))


def write_mot(path: Path, boxes: pd.DataFrame, gallery: Gallery, video: str, identities: Integers) -> int:
    """Write the boxes of a video as a MOTChallenge results file, with global identities.

    Args:
        path: of the file.
        boxes: of the video, as from :func:`sttreid.search.recordings.read_embedded_boxes`.
        gallery: holds the video's tracklets.
        video: its file name.
        identities: [G].

    Returns:
        Number of boxes; those of tracklets that the gallery lacks are left out.

    Raises:
        InputError: the gallery does not hold the video, or none of its tracklets has a box; or the file
            cannot be written.
    """
    rows = np.flatnonzero(gallery.tracklets["video"] == video)
    if not len(rows):
        names = ", ".join(gallery.tracklets["video"].unique()[:3])
        raise InputError(f"the gallery must hold {video}, got {names}")
    tracklets = gallery.tracklets.iloc[rows][["track", "first", "last"]].assign(number=identities[rows])
    joined = boxes.merge(tracklets, on="track")
    joined = joined[joined["frame"].between(joined["first"], joined["last"])]
    if joined.empty:
        raise InputError(f"the tracks of {video} must be those that were embedded, got none of its tracklets")
    joined = joined.sort_values(["frame", "number"])
    lines = [
        f"{frame},{number},{left:g},{top:g},{width:g},{height:g},1,-1,-1,-1"
        for frame, number, left, top, width, height in joined[
            ["frame", "number", "left", "top", "width", "height"]
        ].itertuples(index=False)
    ]
    _write(path, "\n".join(lines) + "\n")
    return len(lines)


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
