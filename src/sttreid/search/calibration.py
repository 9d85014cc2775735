"""Distances -> probabilities, fitted on labelled tracklets, and a threshold for strangers.

A distance means nothing to a user. A calibration belongs to one model and to the people that it was fitted
on: for people who look or are filmed differently, its probabilities are off.

The log-odds that a pair is of one person fall linearly with its distance (Platt, "Probabilistic outputs for
support vector machines", 1999, with his smoothed targets). All pairs weigh equally in the fit, so that it is
best at the small distances at which a few pairs of one person meet the nearest of many others. The prior is
then taken out of the intercept, because it depends on how many tracklets are searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from sttreid.config.conversion import dump, parse
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json

FORMAT: Final = "sttreid-calibration/1"
SUFFIX: Final = ".calibration.json"
RATE: Final = 0.003  # usual false-match rate
FEWEST: Final = 20  # pairs of each kind
MOST: Final = 20_000  # tracklets; the distances of all pairs of so many take 1.6 GB
FLOOR: Final = 1e-6  # of a variance
BLOCK: Final = 512  # tracklets compared with all others at once
CHUNK: Final = 2**20  # distances whose log-odds are held at once
STEPS: Final = 500  # of a fit; most need about ten
GRADIENT: Final = 1e-5  # pairs by which the chances of all pairs may miss their number at the end of a fit

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class Calibration:
    """What a model's distances mean.

    Attributes:
        model: sha256 of the model's weights, as in its reference.
        source: the labelled tracklets, in words.
        rendered: whether they show rendered people.
        people: number of identities.
        tracklets: number of tracklets.
        same: number of pairs of one person in two cameras.
        different: number of pairs of two people in two cameras.
        intercept: log-odds that a pair of distance 0 is of one person, if both kinds are equally frequent.
        slope: by how much the log-odds fall per unit of distance.
        prior: share of pairs of one person among all pairs: that of the labelled tracklets.
        rate: wanted false-match rate: at most this share of the pairs of two people passes the threshold.
        threshold: the distance that belongs to it.
        centre: [D'] mean embedding.
        spread: [D'] variance of each dimension.
        limit: largest strangeness (see :meth:`strangeness`) of the labelled tracklets.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: str
    source: str
    rendered: bool
    people: Count
    tracklets: Count
    same: Count
    different: Count
    intercept: Finite
    slope: Positive
    prior: Share
    rate: Share
    threshold: Finite
    centre: tuple[Finite, ...]
    spread: tuple[Positive, ...]
    limit: Positive

    def probability(
        self, distances: NDArray[np.floating], candidates: int | None = None
    ) -> NDArray[np.float64]:
        """The probability that pairs of these distances are of one person; same shape.

        Args:
            distances: cosine distances of a query to tracklets that may answer it.
            candidates: how many tracklets may answer. The prior then assumes that as many of them show the
                person as in the calibration, so it falls with their number; None: the calibration's prior.
        """
        prior = self.prior if candidates is None else self.prior_among(candidates)
        odds = logit(prior) + self.intercept - self.slope * np.asarray(distances, np.float64)
        probability: NDArray[np.float64] = expit(odds)
        return probability

    def prior_among(self, candidates: int) -> float:
        """The share of tracklets that show the person of a query, among so many that may answer."""
        return min(0.5, 2 * self.same / self.tracklets / max(candidates, 1))

    def strangeness(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far embeddings [N, D'] lie from the labelled ones, [N]: mean squared standard scores.

        Raises:
            InputError: the calibration is of embeddings of another width.
        """
        if not embeddings.shape[1] == len(self.centre) == len(self.spread):
            widths = f"{len(self.centre)} and {len(self.spread)}"
            rule = f"centre and spread of a calibration must have {embeddings.shape[1]} numbers"
            raise InputError(f"{rule}, as the embeddings have, got {widths}")
        offsets = embeddings.astype(np.float64) - np.array(self.centre)
        result: NDArray[np.float64] = (np.square(offsets) / np.array(self.spread)).mean(axis=1)
        return result

    def summary(self) -> dict[str, Any]:
        """What a result says of its calibration, as plain values."""
        names = (
            "source",
            "rendered",
            "people",
            "tracklets",
            "same",
            "different",
            "prior",
            "rate",
            "threshold",
        )
        return {name: getattr(self, name) for name in names}

    def write(self, path: Path) -> None:
        """Write a JSON file.

        Raises:
            InputError: it cannot be written.
        """
        try:
            write_json(path, {"format": FORMAT, **dump(self)})
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled tracklets of one place; pairs are formed inside of it.

    Attributes:
        embeddings: [N, D'] L2-normalised.
        identities: [N].
        cameras: [N].
    """

    embeddings: NDArray[np.floating]
    identities: NDArray[Any]
    cameras: NDArray[Any]


def calibrate(
    sets: Sequence[Labelled], model: str, source: str, *, rendered: bool, rate: float = RATE
) -> Calibration:
    """Fit a calibration.

    Args:
        sets: labelled tracklets.
        model: sha256 of the model's weights.
        source: the tracklets, in words.
        rendered: whether they show rendered people.
        rate: wanted false-match rate, between 0 and 1.

    Raises:
        InputError: the rate is not in its range; there are more than ``MOST`` tracklets, or too few pairs of
            either kind for the fit or the rate; pairs of one person are not nearer than others; or the fit
            does not converge.
    """
    check_rate(rate)
    if (count := sum(len(one.embeddings) for one in sets)) > MOST:
        raise InputError(f"a calibration takes at most {MOST:,} tracklets, got {count:,} ({source})")
    pairs = [pair_distances(one) for one in sets]
    same, different = (np.concatenate([part[kind] for part in pairs] or [np.zeros(0)]) for kind in (0, 1))
    for kind, distances, least in (
        ("one person", same, FEWEST),
        ("two people", different, max(FEWEST, int(np.ceil(1 / rate)))),
    ):
        if len(distances) < least:
            rule = f"a calibration needs at least {least} pairs of {kind} in two cameras"
            raise InputError(f"{rule} for the false-match rate {rate:g}, got {len(distances)} ({source})")
    prior = len(same) / (len(same) + len(different))
    intercept, slope = fit_log_odds(same, different)
    if slope <= 0:
        raise InputError(
            f"pairs of one person must be nearer than those of two, got mean distances {same.mean():.3f} and"
            f" {different.mean():.3f} ({source})"
        )
    features = np.concatenate([one.embeddings for one in sets]).astype(np.float64)
    calibration = Calibration(
        model=model,
        source=source,
        rendered=rendered,
        people=sum(len(set(one.identities.tolist())) for one in sets),
        tracklets=len(features),
        same=len(same),
        different=len(different),
        intercept=intercept - float(logit(prior)),
        slope=slope,
        prior=prior,
        rate=rate,
        threshold=threshold_of(different, rate),
        centre=tuple(features.mean(axis=0).tolist()),
        spread=tuple(np.maximum(features.var(axis=0), FLOOR).tolist()),
        limit=1.0,
    )
    limit = float(calibration.strangeness(features).max())
    return TypeAdapter(Calibration).validate_python(vars(calibration) | {"limit": limit})


def check_rate(rate: float) -> None:
    """Raise InputError unless a false-match rate is between 0 and 1."""
    if not 0 < rate < 1:
        raise InputError(f"the false-match rate must be between 0 and 1, got {rate:g}")


def threshold_of(different: NDArray[np.float64], rate: float) -> float:
    """The largest of these distances that at most this share of them does not exceed; there are 1 / rate.

    Just below the smallest if more than this share are equal to it.
    """
    passing = int(np.floor(rate * len(different) + 1e-9))
    threshold = np.partition(different, passing - 1)[passing - 1]
    if (different <= threshold).sum() > passing:  # of equal ones all pass, or none
        nearer = different[different < threshold]
        threshold = nearer.max() if len(nearer) else np.nextafter(threshold, -np.inf)
    return float(threshold)


def pair_distances(labelled: Labelled) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine distances of all pairs in two different cameras: those of one person, and of two.

    The matrix of all pairs is never held: blocks of its rows give the distances above its diagonal.
    """
    unit = labelled.embeddings.astype(np.float64)
    cameras = np.unique(labelled.cameras, return_inverse=True)[1]
    people = np.unique(labelled.identities, return_inverse=True)[1]
    same, different = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(unit), BLOCK):
        rows = slice(start, start + BLOCK)
        distances = 1 - unit[rows] @ unit[start:].T
        pairs = np.triu(cameras[rows, None] != cameras[None, start:], 1)
        alike = people[rows, None] == people[None, start:]
        same.append(distances[pairs & alike])
        different.append(distances[pairs & ~alike])
    return np.concatenate(same), np.concatenate(different)


def calibration_path(model: Path) -> Path:
    """Where the calibration of a model's file lies: beside it."""
    return model.with_suffix(SUFFIX)


def read_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        InputError: the file cannot be read, a key is unknown or missing, or a value breaks a rule.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{path}: format must be {FORMAT!r}, got {got!r}")
    return parse(Calibration, {key: value for key, value in content.items() if key != "format"}, str(path))


def fit_log_odds(same: NDArray[np.float64], different: NDArray[np.float64]) -> tuple[float, float]:
    """Intercept and slope of the log-odds, from the distances of pairs of one person and of two.

    The intercept holds for the proportion of the given pairs; the log-odds are intercept - slope * distance.
    The slope is 0 if all distances are equal.

    Distances are fitted in units of their standard deviation: the result does not depend on their own unit.

    Raises:
        InputError: a distance is not finite, or the fit does not converge.
    """
    count = len(same) + len(different)
    sides = [
        (same, (len(same) + 1) / (len(same) + 2)),  # distances, and the target of Platt
        (different, 1 / (len(different) + 2)),
    ]
    chunks = [
        (distances[start : start + CHUNK], target)
        for distances, target in sides
        for start in range(0, len(distances), CHUNK)
    ]
    span = f"{min(same.min(), different.min()):g} to {max(same.max(), different.max()):g}"
    centre = sum(float(distances.sum()) for distances, _ in chunks) / count
    if not np.isfinite(centre):
        raise InputError(f"the distances of a calibration must be finite, got {span}")
    scale = (sum(float(np.square(distances - centre).sum()) for distances, _ in chunks) / count) ** 0.5
    begin = np.array([logit(sum(len(distances) * target for distances, target in sides) / count), 0.0])
    if scale == 0:
        return float(begin[0]), 0.0

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The negative log-likelihood of all pairs, and its gradient."""
        total, gradient = 0.0, np.zeros(2)
        for distances, target in chunks:
            nearness = (centre - distances) / scale
            odds = values[0] + values[1] * nearness
            total -= float((target * log_expit(odds) + (1 - target) * log_expit(-odds)).sum())
            error = expit(odds) - target
            gradient += [error.sum(), error @ nearness]
        return total, gradient

    def curvature(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros((2, 2))
        for distances, _ in chunks:
            nearness = (centre - distances) / scale
            odds = values[0] + values[1] * nearness
            weight = expit(odds) * expit(-odds)
            mixed = weight @ nearness
            total += [[weight.sum(), mixed], [mixed, (weight * nearness) @ nearness]]
        return total

    options = {"gtol": GRADIENT, "maxiter": STEPS}
    found = minimize(loss, begin, jac=True, hess=curvature, method="trust-exact", options=options)
    if not found.success:
        raise InputError(f"the fit of a calibration must converge, but does not for distances of {span}")
    slope = float(found.x[1]) / scale
    return float(found.x[0]) + slope * centre, slope
