"""Random splits of identities, for data sets that have no official one."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.datasets import Validation
from sttreid.runtime.errors import InputError


def validation_identities(table: pd.DataFrame, validation: Validation, place: Path) -> NDArray[np.int64]:
    """The training identities that become the validation split (our choice: the share and the seed).

    Multi-camera identities are drawn first.

    Args:
        table: columns identity, camera, split, length; one row per tracklet or per box.
        validation: how many identities are taken, at least one, and the seed of the draw.
        place: of the data set, for errors.

    Returns:
        Identities, ascending.

    Raises:
        InputError: the training split has fewer than two identities.
    """
    train = table[(table["split"] == "train") & (table["length"] > 0)]
    cameras = train.groupby("identity")["camera"].nunique()
    if len(cameras) < 2:
        rule = "a training split that also validates must hold at least 2 identities"
        raise InputError(f"{place}: {rule}, got {len(cameras)}")
    order = np.random.default_rng(validation.seed).permutation(len(cameras))
    order = order[np.argsort(cameras.to_numpy()[order] < 2, kind="stable")]
    count = min(max(1, round(validation.share * len(cameras))), len(cameras) - 1)
    identities: NDArray[np.int64] = np.sort(cameras.index.to_numpy(np.int64)[order[:count]])
    return identities
