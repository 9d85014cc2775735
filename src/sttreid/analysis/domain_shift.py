"""Domain shift: how well a small classifier separates the crops of two data sets.

The idea is the proxy A-distance of Ben-David et al., "A theory of learning from different domains", Machine
Learning 79, 2010. An accuracy of 0.5 means that the crops cannot be separated, 1 that a single crop is
enough. The classifier is tested on unseen cameras: otherwise it would recognise each camera by its light and
background, and any two data sets would be separable. An accuracy below 0.5 is possible if an unseen camera
resembles the other data set more than the other cameras of its data set.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import LUMA
from sttreid.tracklets.store import Store

STRIPES: Final = 6  # from head to foot
_CROPS, _FOLDS = 1, 2  # random streams: crops of a camera, order of the cameras
_PENALTY: Final = 1.0  # scikit-learn's C; the features are standardised
_TOLERANCE: Final = 1e-10  # the optimum itself, independent of the order of sums and the number of threads
_DECISION_DIGITS: Final = 6  # a decision value that rounds to 0 is on the boundary
_DIGITS: Final = 4  # of a number in a metrics file

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CropSample:
    """Some crops of a data set.

    Attributes:
        features: [N, 40], as from :func:`features`.
        cameras: [N].
    """

    features: Floats
    cameras: Integers


@dataclass(frozen=True)
class Separability:
    """How well two data sets are separated.

    Attributes:
        accuracy: balanced accuracy on unseen cameras, 0 to 1: the mean over both data sets of the share of
            crops that are classified correctly, with equal weight for each camera.
        error: standard error of the accuracy, from the spread over the cameras.
    """

    accuracy: float
    error: float


def features(crops: NDArray[np.uint8]) -> Floats:
    """Colour, contrast and sharpness of single crops, in grey levels from 0 to 255.

    Args:
        crops: [N, H, W, 3] RGB, at least 6 rows high and 3 columns wide.

    Returns:
        [N, 40]: for each of 6 horizontal stripes, background included, mean and standard deviation of red,
        green and blue (36); standard deviation of the luminance; mean absolute difference of the luminance
        from the pixel below and from the pixel on the right; mean absolute Laplacian of the luminance.

    Raises:
        InputError: the crops are smaller.
    """
    height, width = crops.shape[1:3]
    if height < STRIPES or width < 3:
        rule = f"at least {STRIPES} rows high and 3 columns wide"
        raise InputError(f"the crops of a store must be {rule}, got {height} x {width}")
    columns = []
    for stripe in np.array_split(crops, STRIPES, axis=1):
        columns += [stripe.mean(axis=(1, 2)), stripe.std(axis=(1, 2))]
    grey = np.einsum("nhwc,c->nhw", crops.astype(np.float64), LUMA.astype(np.float64))
    middle, down, across = grey[:, 1:-1, 1:-1], np.diff(grey, axis=1), np.diff(grey, axis=2)
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    details = [np.abs(part).mean(axis=(1, 2)) for part in (down, across, neighbours - 4 * middle)]
    return np.concatenate([*columns, np.stack([grey.std(axis=(1, 2)), *details], axis=1)], axis=1)


def sample_crops(store: Store, crops: int, seed: int) -> CropSample:
    """Draw crops of all splits: the same number from each camera, all of a camera that has fewer."""
    cameras = store.index["camera"].to_numpy(np.int64)
    sampled, owners = [], []
    for camera in np.unique(cameras).tolist():
        rows = np.flatnonzero(cameras == camera)
        rng = np.random.default_rng([seed, _CROPS, camera])
        chosen = np.sort(rng.choice(rows, min(crops, len(rows)), replace=False))
        sampled.append(features(store.frames[chosen]))
        owners.append(np.full(len(chosen), camera))
    return CropSample(np.concatenate(sampled), np.concatenate(owners))


def separate(first: CropSample, second: CropSample, folds: int, seed: int) -> Separability:
    """Classify the crops of two data sets, cross-validated over cameras.

    The cameras of each data set are split into folds at random. The crops of a fold are classified by a
    logistic regression that is fitted to all other folds, with equal weight for both data sets.

    Args:
        first: crops of a data set.
        second: crops of another.
        folds: their number; at most as many as the smaller data set has cameras.
        seed: of the folds.

    Raises:
        InputError: a data set has only one camera.
    """
    fewest = min(len(np.unique(sample.cameras)) for sample in (first, second))
    if fewest < 2:
        raise InputError(f"data sets are compared on unseen cameras and must have at least 2, got {fewest}")
    values = np.concatenate([first.features, second.features])
    truth = np.repeat([False, True], [len(first.features), len(second.features)])
    fold = np.concatenate([assign_folds(s.cameras, min(folds, fewest), seed) for s in (first, second)])
    correct = np.empty(len(truth), bool)
    for number in range(min(folds, fewest)):
        test = fold == number
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=_PENALTY, class_weight="balanced", solver="newton-cholesky", tol=_TOLERANCE),
        )
        decision = model.fit(values[~test], truth[~test]).decision_function(values[test])
        correct[test] = (decision.round(_DECISION_DIGITS) > 0) == truth[test]
    shares = [
        _correct_per_camera(correct[truth == label], sample.cameras)
        for label, sample in ((False, first), (True, second))
    ]
    accuracy = float(np.mean([share.mean() for share in shares]))
    variance = sum(float(share.var(ddof=1)) / len(share) for share in shares)
    return Separability(accuracy, math.sqrt(variance) / 2)


def assign_folds(cameras: Integers, folds: int, seed: int) -> Integers:
    """The fold, from 0, of each crop, [N]: a camera is in one fold, folds differ by at most one camera.

    Args:
        cameras: [N].
        folds: their number.
        seed: of the order of the cameras.
    """
    numbers, rows = np.unique(cameras, return_inverse=True)
    order: Integers = np.random.default_rng([seed, _FOLDS]).permutation(len(numbers))
    return order[rows] % folds


def separate_all(
    samples: Mapping[str, CropSample], folds: int, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Content of ``metrics/domains.json``: accuracy and standard error of every pair of data sets, 4 digits.

    A pair is listed once, under the name that comes first in ``samples``. (With a key "error" DVC would
    report that it cannot load the file.)

    Raises:
        InputError: a data set has only one camera; the error names it.
    """
    for name, each in samples.items():
        if (cameras := len(np.unique(each.cameras))) < 2:
            rule = "data sets are compared on unseen cameras and must have at least 2"
            raise InputError(f"{name}: {rule}, got {cameras}")
    content: dict[str, dict[str, dict[str, float]]] = {"accuracy": {}, "standard_error": {}}
    for first, second in combinations(samples, 2):
        result = separate(samples[first], samples[second], folds, seed)
        content["accuracy"].setdefault(first, {})[second] = round(result.accuracy, _DIGITS)
        content["standard_error"].setdefault(first, {})[second] = round(result.error, _DIGITS)
    return content


def _correct_per_camera(correct: NDArray[np.bool_], cameras: Integers) -> Floats:
    """The share of correct decisions of each camera."""
    rows = np.unique(cameras, return_inverse=True)[1]
    shares: Floats = np.bincount(rows, weights=correct) / np.bincount(rows)
    return shares
