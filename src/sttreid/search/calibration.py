"""Distances -> probabilities, fitted on labelled tracklets, and a threshold for strangers.

A distance means nothing to a user. A calibration belongs to one model and to the people that it was fitted
on: for people who look or are filmed differently, its probabilities are off.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """What a model's distances mean.

    Attributes:
        model: sha256 of the model's file.
        source: the labelled tracklets, in words.
        rendered: whether they show rendered people.
        people: number of identities.
        same: number of pairs of one person in two cameras.
        different: number of pairs of two people in two cameras.
        intercept: log-odds that a pair of distance 0 is of one person, if both kinds are equally frequent.
        slope: by how much the log-odds fall per unit of distance, above 0.
        prior: share of pairs of one person among all pairs: that of the labelled tracklets.
        rate: wanted false-match rate: share of pairs of two people that are nearer than the threshold.
        threshold: the distance that belongs to it.
        centre: [D'] mean embedding.
        spread: [D'] its variance per dimension.
        limit: largest strangeness (see :meth:`strangeness`) of the labelled tracklets.
    """

    model: str
    source: str
    rendered: bool
    people: int
    same: int
    different: int
    intercept: float
    slope: float
    prior: float
    rate: float
    threshold: float
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    limit: float

    def probability(self, distances: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability that pairs of these distances are of one person; same shape."""
        logit = np.log(self.prior / (1 - self.prior)) + self.intercept - self.slope * np.asarray(distances)
        probability: NDArray[np.float64] = 1 / (1 + np.exp(-logit.astype(np.float64)))
        return probability

    def strangeness(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far embeddings [N, D'] lie from the labelled ones, [N]: mean squared standard scores."""
        offsets = embeddings.astype(np.float64) - np.array(self.centre)
        result: NDArray[np.float64] = (np.square(offsets) / np.array(self.spread)).mean(axis=1)
        return result

    def summary(self) -> dict[str, Any]:
        """What a result says of its calibration, as plain values."""
        names = ("source", "rendered", "people", "same", "different", "prior", "rate", "threshold")
        return {name: getattr(self, name) for name in names}
