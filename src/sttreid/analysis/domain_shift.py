"""How far apart two data sets are: how well a small classifier tells which of them a single crop comes from.

The idea is the proxy distance of Ben-David et al., "A theory of learning from different domains", Machine
Learning 79, 2010. A share of 0.5 means that the crops cannot be told apart, 1 that one look is enough. The
classifier is only asked about cameras that it has not seen: otherwise it would recognise each camera by its
light and its background, and any two sets of cameras would be as far apart as can be. A share below 0.5 is
possible: an unseen camera then looks more like the other data set than like the other cameras of its own.
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
_CROPS, _PARTS = 1, 2  # random streams: crops of a camera, order of the cameras
_PENALTY: Final = 1.0  # scikit-learn's C; the features are standardised
_TOLERANCE: Final = 1e-10  # the optimum itself, so that no order of sums and no number of threads is seen
_DECISION_DIGITS: Final = 6  # what lies nearer to the border than this lies on it
_DIGITS: Final = 4  # of a share in a metrics file

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Some crops of a data set.

    Attributes:
        features: [N, 40], as from :func:`features`.
        cameras: [N].
    """

    features: Floats
    cameras: Integers


@dataclass(frozen=True)
class Shift:
    """How far apart two data sets are.

    Attributes:
        accuracy: balanced accuracy on unseen cameras, 0 to 1: the mean over both data sets of the share of
            crops that are told right, each camera counting the same.
        error: standard error of the accuracy, from the spread of the cameras' own shares.
    """

    accuracy: float
    error: float


def features(crops: NDArray[np.uint8]) -> Floats:
    """Colour, contrast and sharpness of single crops, in grey levels of 255.

    Args:
        crops: [N, H, W, 3] RGB, at least 6 rows high and 3 columns wide.

    Returns:
        [N, 40]: for each of 6 horizontal stripes, background included, mean and standard deviation of red,
        green and blue (36); standard deviation of the luminance; mean absolute difference of the luminance
        to the pixel below and to the pixel on the right; mean absolute Laplacian of the luminance.

    Raises:
        InputError: the crops are smaller than that.
    """
    height, width = crops.shape[1:3]
    if height < STRIPES or width < 3:
        rule = f"at least {STRIPES} rows high and 3 columns wide"
        raise InputError(f"the store's pictures must be {rule}, got {height} x {width}")
    columns = []
    for stripe in np.array_split(crops, STRIPES, axis=1):
        columns += [stripe.mean(axis=(1, 2)), stripe.std(axis=(1, 2))]
    grey = np.einsum("nhwc,c->nhw", crops.astype(np.float64), LUMA.astype(np.float64))
    middle, down, across = grey[:, 1:-1, 1:-1], np.diff(grey, axis=1), np.diff(grey, axis=2)
    beside = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    details = [np.abs(part).mean(axis=(1, 2)) for part in (down, across, beside - 4 * middle)]
    return np.concatenate([*columns, np.stack([grey.std(axis=(1, 2)), *details], axis=1)], axis=1)


def sample(store: Store, crops: int, seed: int) -> Sample:
    """Draw crops of all splits: the same number from each camera, all of a camera that has fewer."""
    cameras = store.index["camera"].to_numpy(np.int64)
    drawn, owners = [], []
    for camera in np.unique(cameras).tolist():
        own = np.flatnonzero(cameras == camera)
        rng = np.random.default_rng([seed, _CROPS, camera])
        chosen = np.sort(rng.choice(own, min(crops, len(own)), replace=False))
        drawn.append(features(store.frames[chosen]))
        owners.append(np.full(len(chosen), camera))
    return Sample(np.concatenate(drawn), np.concatenate(owners))


def shift(one: Sample, other: Sample, folds: int, seed: int) -> Shift:
    """Tell the crops of two data sets apart.

    The cameras of each data set are dealt into parts at random, and the crops of a part are classified by a
    logistic regression that was fitted to all other parts, in which both data sets weigh the same.

    Args:
        one: crops of a data set.
        other: crops of another.
        folds: the number of parts; as many as the smaller data set has cameras if these are fewer.
        seed: of the parts.

    Raises:
        InputError: a data set has only one camera.
    """
    fewest = min(len(np.unique(part.cameras)) for part in (one, other))
    if fewest < 2:
        raise InputError(f"data sets are compared on unseen cameras and must have at least 2, got {fewest}")
    every = np.concatenate([one.features, other.features])
    truth = np.repeat([False, True], [len(one.features), len(other.features)])
    part = np.concatenate([parts(data.cameras, min(folds, fewest), seed) for data in (one, other)])
    right = np.empty(len(truth), bool)
    for number in range(min(folds, fewest)):
        held = part == number
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=_PENALTY, class_weight="balanced", solver="newton-cholesky", tol=_TOLERANCE),
        )
        decision = model.fit(every[~held], truth[~held]).decision_function(every[held])
        right[held] = (decision.round(_DECISION_DIGITS) > 0) == truth[held]
    shares = [_shares(right[truth == side], data.cameras) for side, data in ((False, one), (True, other))]
    accuracy = float(np.mean([share.mean() for share in shares]))
    variance = sum(float(share.var(ddof=1)) / len(share) for share in shares)
    return Shift(accuracy, math.sqrt(variance) / 2)


def parts(cameras: Integers, folds: int, seed: int) -> Integers:
    """[N] the part, from 0, of each crop: a camera lies in one part, parts differ by one camera at most."""
    numbers, rows = np.unique(cameras, return_inverse=True)
    order: Integers = np.random.default_rng([seed, _PARTS]).permutation(len(numbers))
    return order[rows] % folds


def between(samples: Mapping[str, Sample], folds: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Content of ``metrics/domains.json``: accuracy and standard error of every pair of data sets, 4 digits.

    A pair stands once, under the name that comes first in ``samples``. (A key "error" would make DVC report
    that it cannot load the file.)
    """
    content: dict[str, dict[str, dict[str, float]]] = {"accuracy": {}, "standard_error": {}}
    for one, other in combinations(samples, 2):
        found = shift(samples[one], samples[other], folds, seed)
        content["accuracy"].setdefault(one, {})[other] = round(found.accuracy, _DIGITS)
        content["standard_error"].setdefault(one, {})[other] = round(found.error, _DIGITS)
    return content


def _shares(right: NDArray[np.bool_], cameras: Integers) -> Floats:
    """The share of right answers of each camera."""
    rows = np.unique(cameras, return_inverse=True)[1]
    shares: Floats = np.bincount(rows, weights=right) / np.bincount(rows)
    return shares
