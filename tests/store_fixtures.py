"""A tracklet store whose identities differ only in colour."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sttreid.tracklets.store import Store, open_store, write_store
from tests.sections import HEIGHT, WIDTH

LENGTH = 4  # frames of a tracklet
IDENTITIES = {"train": [3, 5, 8, 9], "validation": [1, 2], "test": [4, 6]}


@pytest.fixture(scope="session")
def store(store_folder: Path) -> Store:
    """Two tracklets per identity, one in each of two cameras."""
    return open_store(store_folder)


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of ``store``."""
    folder: Path = tmp_path_factory.mktemp("store") / "tracklets"
    write_coloured(folder, IDENTITIES, HEIGHT, WIDTH)
    return folder


def write_coloured(folder: Path, identities: Mapping[str, Iterable[int]], height: int, width: int) -> None:
    """Two tracklets per identity of each split, one in each of two cameras."""
    rng = np.random.default_rng(0)
    rows, crops = [], []
    pairs = [(split, identity) for split, some in identities.items() for identity in some]
    for split, identity in pairs:
        top, bottom = rng.integers(30, 225, (2, 3))
        for camera in (0, 1):
            number = len(rows) // LENGTH
            for frame in range(1, LENGTH + 1):
                rows.append((number, identity, camera, frame, split, 1.0))
                crop = rng.integers(-20, 20, (height, width, 3))
                crop[: height // 2] += top
                crop[height // 2 :] += bottom
                crops.append(crop.astype(np.uint8))
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    write_store(folder, pd.DataFrame(rows, columns=columns), enumerate(crops), height, width)
