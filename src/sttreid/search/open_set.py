"""Strangers: how often a search finds people who are there, at a given rate of false alarms.

Detection and identification rate, DIR, and false alarm rate, FAR: Phillips, Grother and Micheals, "Evaluation
Methods in Face Recognition", Handbook of Face Recognition, 2005. A query of a person who is in the gallery
counts if its nearest tracklet shows this person and is near enough. A query of a stranger, who is not in the
gallery, is a false alarm if any tracklet is near enough. Tracklets of the query's camera never answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.search.calibration import Labelled
from sttreid.search.neighbours import Limits, nearest


@dataclass(frozen=True)
class OpenSet:
    """Rates over several draws of the strangers.

    Attributes:
        rates: false alarm rates.
        detection: DIR at each of them, with the threshold that gives exactly this rate.
        threshold_alarms: FAR at a given threshold; None without one.
        threshold_detection: DIR at the same.
        rank1: share of the queries of people who are there whose nearest tracklet is right.
    """

    rates: tuple[float, ...]
    detection: tuple[float, ...]
    threshold_alarms: float | None
    threshold_detection: float | None
    rank1: float


def open_set(
    labelled: Labelled,
    rates: Sequence[float],
    *,
    threshold: float | None = None,
    draws: int = 20,
    seed: int = 0,
) -> OpenSet:
    """Make half of the people strangers, by lot, and search.

    Args:
        labelled: tracklets; only people whom two cameras see are queries, the others stay in the gallery.
        rates: false alarm rates, 0 to 1.
        threshold: a distance, for example that of a calibration.
        draws: of the strangers; the result is the mean.
        seed: of the draws.

    Raises:
        InputError: fewer than four people are seen by two cameras.
    """
    people, person = np.unique(labelled.identities.astype(str), return_inverse=True)
    camera = np.unique(labelled.cameras.astype(str), return_inverse=True)[1]
    seen = np.zeros((len(people), camera.max() + 1), np.bool_)
    seen[person, camera] = True
    candidates = np.flatnonzero(seen.sum(axis=1) > 1)
    if len(candidates) < 4:
        raise InputError(f"an open-set test needs 4 people whom two cameras see, got {len(candidates)}")
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(draws):
        strangers = rng.permutation(candidates)[: len(candidates) // 2]
        known = np.flatnonzero(~np.isin(person, strangers))
        distance, right = _first_answers(labelled, person, camera, known)
        stranger = np.isin(person, strangers)
        there = np.isin(person, candidates) & ~stranger
        found = [
            float(np.mean(right[there] & (distance[there] <= _limit(distance[stranger], rate))))
            for rate in rates
        ]
        at = threshold if threshold is not None else np.nan
        alarms, detected = np.mean(distance[stranger] <= at), np.mean(right[there] & (distance[there] <= at))
        rows.append([*found, alarms, detected, np.mean(right[there])])
    *found, alarms, detected, rank1 = np.array(rows, np.float64).mean(axis=0).tolist()
    given = threshold is not None
    return OpenSet(tuple(rates), tuple(found), alarms if given else None, detected if given else None, rank1)


def _first_answers(
    labelled: Labelled, person: NDArray[np.int64], camera: NDArray[np.int64], known: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """[N] distance of the nearest known tracklet in another camera, and whether it shows the same person."""
    own = np.full(len(person), -1)
    own[known] = np.arange(len(known))
    gallery = labelled.embeddings[known].astype(np.float32)
    limits = Limits(own, camera[known], camera)
    owner, row, distance = nearest(labelled.embeddings, gallery, limits, 1)
    first, right = np.full(len(person), np.inf), np.zeros(len(person), np.bool_)
    first[owner], right[owner] = distance, person[known][row] == person[owner]
    return first, right


def _limit(distances: NDArray[np.float64], rate: float) -> float:
    """The largest threshold with at most this share of the distances at or below it."""
    ordered = np.sort(distances)
    alarms = int(np.floor(rate * len(ordered) + 1e-9))
    return float(np.nextafter(ordered[alarms], -np.inf)) if alarms < len(ordered) else np.inf
