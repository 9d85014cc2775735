"""iLIDS-VID (Wang et al., Person Re-Identification by Video Ranking, ECCV 2014).

::

    i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png
    train-test people splits/train_test_splits_ilidsvid.mat      ls_set [10, 300]

A row of ``ls_set`` is one official split: indices, from 1, into the sorted list of identities; the first half
is the test, the second half trains.
"""

from pathlib import Path
from typing import Final

import numpy as np

from sttreid.data.folder_listing import first_existing, locate, subfolders
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import Ints, pattern_groups
from sttreid.data.published.matlab import read_table
from sttreid.data.published.official_counts import CountCheck
from sttreid.data.published.published_set import PublishedSet, assemble
from sttreid.data.published.two_cameras import SplitOption, check_split, count_halves, read_halves
from sttreid.data.registry import Reader, ReadSettings
from sttreid.runtime.errors import InputError

LANDMARKS: Final = (("i-LIDS-VID/sequences/cam1",), ("sequences/cam1",))
IMAGE: Final = r"^cam(?P<camera>[12])_person(?P<identity>\d{1,9})_(?P<frame>\d{1,18})(?i:\.png)$"
EXAMPLE: Final = "cam1_person001_00317.png"
SEQUENCES: Final = ("i-LIDS-VID/sequences", "sequences")
SPLITS: Final = (
    "train-test people splits/train_test_splits_ilidsvid.mat",
    "i-LIDS-VID/train-test people splits/train_test_splits_ilidsvid.mat",
    "../train-test people splits/train_test_splits_ilidsvid.mat",
    "train_test_splits_ilidsvid.mat",
)
OFFICIAL: Final = {
    "training identities": 150,
    "test identities": 150,
    "tracklets": 600,
    "queries": 150,
    "gallery tracklets": 150,
}


def read_ilids_vid(
    folder: Path, split: int = 1, strict: bool = False, scratch: Path | None = None
) -> PublishedSet:
    """Read iLIDS-VID.

    Args:
        folder: holds ``i-LIDS-VID`` and the splits, or is its parent, or is ``i-LIDS-VID``.
        split: the official split, 1 to 10.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not iLIDS-VID; the splits are missing, cannot be read or do not fit the identities;
            there is no such split; an image is misnamed or in the wrong folder; an identity has one camera
            only; ``strict``, and a count differs.
    """
    root = locate(folder, "ilids_vid", LANDMARKS)
    sequences = first_existing(root, SEQUENCES, "the images")
    path = first_existing(root, SPLITS, "the splits")
    cameras = [sequences / "cam1", sequences / "cam2"]
    identities = sorted({folder.name for camera in cameras for folder in subfolders(camera)})
    splits = _read_splits(path, len(identities))
    check_split(path, split, len(splits))
    names = [identities[index - 1] for index in splits[split - 1].tolist()]
    half = len(identities) // 2
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    parts, empty = read_halves(buffer, root, cameras, names[half:], names[:half], IMAGE, EXAMPLE)
    checks = (empty, CountCheck("official splits", 10, len(splits)))
    title = f"iLIDS-VID, split {split}"
    return assemble(title, root, parts, buffer, OFFICIAL, count_halves, checks, strict)


def _read(folder: Path, options: SplitOption, settings: ReadSettings) -> PublishedSet:
    return read_ilids_vid(folder, options.split, settings.strict, settings.scratch)


READER = Reader(
    name="ilids_vid",
    read=_read,
    protocol="ilids-{split}",
    options=SplitOption,
    usual={"split": 1},
    landmarks=LANDMARKS,
)


def _read_splits(path: Path, identities: int) -> Ints:
    """[splits, identities], every row a permutation."""
    table = read_table(path, "ls_set", identities)
    if (np.sort(table, axis=1) != np.arange(1, identities + 1)).any():
        rule = f"every split must list each of {identities} identities once"
        raise InputError(f"{path}: {rule}, got other numbers")
    return table
