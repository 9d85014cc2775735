"""Two cameras with one tracklet per identity each, and official splits: iLIDS-VID and PRID2011.

Half of the identities train. Of the others, the tracklets of camera 1 are the queries and those of camera 2
are the gallery.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from sttreid.config.datasets import CONFIG
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.official_counts import CountCheck, expect_none
from sttreid.data.published.published_set import FRAME, LARGEST, PERSON
from sttreid.data.published.tracklet_folders import TrackletFolders, read_tracklet_folders
from sttreid.runtime.errors import InputError


@dataclass(frozen=True, config=CONFIG)
class SplitOption:
    """The number of the official split."""

    split: Annotated[int, Field(ge=1, le=10)]


def check_split(path: Path, split: int, splits: int) -> None:
    """Raise InputError unless the file ``path`` has the ``split``, counted from 1."""
    if not 1 <= split <= splits:
        raise InputError(f"{path}: the split must be between 1 and {splits}, got {split}")


def read_halves(
    buffer: DiskBuffer,
    root: Path,
    cameras: Sequence[Path],
    train: Sequence[str],
    test: Sequence[str],
    pattern: str,
    example: str,
) -> tuple[list[pd.DataFrame], CountCheck]:
    """The tracklets of both halves: of each, those of camera 1, then those of camera 2.

    Args:
        buffer: to which their images are appended; has the groups of the pattern as fields.
        root: of the data set.
        cameras: the folders of camera 1 and camera 2.
        train: folder names of the training identities; their digits are the identity.
        test: those of the test identities.
        pattern: of an image name, with the group ``frame``; ``camera`` and ``identity`` are checked.
        example: a name that fits.

    Returns:
        The tables of the parts, and the check that no folder is empty.

    Raises:
        InputError: an identity has no folder in a camera, an image is misnamed or in the wrong folder, or two
            images of a tracklet are the same frame.
    """
    parts = {
        (split, number): _read_part(buffer, root, camera, names, pattern, example)
        for split, names in (("train", train), ("test", test))
        for number, camera in enumerate(cameras, 1)
    }
    empty = [folder for part in parts.values() for folder in part.empty]
    check = expect_none("folders of tracklets without an image", empty)
    return [_rows(part, split, number) for (split, number), part in parts.items()], check


def _read_part(
    buffer: DiskBuffer, root: Path, camera: Path, names: Sequence[str], pattern: str, example: str
) -> TrackletFolders:
    for name in sorted(names):
        if not (camera / name).is_dir():
            raise InputError(f"{camera / name}: the split names this folder, but it is missing")
    folders = [camera / name for name in sorted(names)]
    return read_tracklet_folders(buffer, root, folders, pattern, example, FRAME)


def _rows(part: TrackletFolders, split: str, camera: int) -> pd.DataFrame:
    identity = np.array([_identity(part.root / folder) for folder in part.folders], np.int64)
    for field, expected in (("identity", identity), ("camera", np.full(len(identity), camera))):
        if field in part.buffer.fields:
            part.check_number(field, expected)
    part.check_distinct(FRAME)
    rows = pd.DataFrame({"identity": identity, "camera": camera, "split": split})
    rows["start"], rows["length"] = part.starts, part.lengths
    rows["kind"], rows["folder"], rows["missing"] = PERSON, part.folders, 0
    rows["query"] = split == "test" and camera == 1
    rows["gallery"] = split == "test" and camera == 2
    return rows


def _identity(folder: Path) -> int:
    digits = re.sub(r"\D", "", folder.name)
    if not digits or int(digits) > LARGEST:
        raise InputError(f"{folder}: the folder's name must hold a number of at most {LARGEST:,}")
    return int(digits)


def count_halves(table: pd.DataFrame) -> dict[str, int]:
    """Identities of both halves, tracklets, queries and gallery tracklets."""
    identities = table.groupby("split")["identity"].nunique()
    return {
        "training identities": identities.get("train", 0),
        "test identities": identities.get("test", 0),
        "tracklets": len(table),
        "queries": table["query"].sum(),
        "gallery tracklets": table["gallery"].sum(),
    }
