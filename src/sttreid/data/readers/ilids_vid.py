"""iLIDS-VID (Wang et al., Person Re-Identification by Video Ranking, ECCV 2014).

::

    i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png
    train-test people splits/train_test_splits_ilidsvid.mat      ls_set [10, 300]

A row of ``ls_set`` is one official split: places, from 1, in the sorted list of persons; the first half
tests, the second trains.
"""

from pathlib import Path
from typing import Final

import numpy as np

from sttreid.data.readers.checks import Check
from sttreid.data.readers.folders import first_of, locate, subfolders
from sttreid.data.readers.matlab import read_table
from sttreid.data.readers.names import Ints, groups
from sttreid.data.readers.pairs import check_index, read_pairs, split_counts
from sttreid.data.readers.spool import Spool
from sttreid.data.readers.tracklets import Tracklets, assemble
from sttreid.runtime.errors import InputError

PICTURE: Final = r"^cam(?P<camera>[12])_person(?P<identity>\d{1,9})_(?P<frame>\d{1,18})(?i:\.png)$"
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
) -> Tracklets:
    """Read iLIDS-VID; ``folder`` holds ``i-LIDS-VID`` and the splits, or is the one above or ``i-LIDS-VID``.

    Args:
        folder: of the data set.
        split: the official split, 1 to 10.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no iLIDS-VID; the splits are missing, cannot be read or are of other persons; there
            is no such split; a picture is misnamed or lies in the wrong folder; a person has one camera only;
            ``strict``, and a count is off.
    """
    root = locate(folder, "ilids_vid")
    sequences = first_of(root, SEQUENCES, "the pictures")
    path = first_of(root, SPLITS, "the splits")
    persons = sorted({path.name for camera in ("cam1", "cam2") for path in subfolders(sequences / camera)})
    rows = _splits(path, len(persons))
    check_index(path, split, len(rows))
    chosen = [persons[place - 1] for place in rows[split - 1].tolist()]
    half = len(persons) // 2
    cameras = [sequences / "cam1", sequences / "cam2"]
    spool = Spool(groups(PICTURE), scratch)
    parts, found = read_pairs(spool, root, cameras, chosen[half:], chosen[:half], PICTURE, EXAMPLE)
    found = (*found, Check("official splits", 10, len(rows)))
    return assemble(f"iLIDS-VID, split {split}", root, parts, spool, OFFICIAL, split_counts, found, strict)


def _splits(path: Path, persons: int) -> Ints:
    """[splits, persons], every row a permutation."""
    table = read_table(path, "ls_set", persons)
    if (np.sort(table, axis=1) != np.arange(1, persons + 1)).any():
        raise InputError(f"{path}: every split must name each of {persons} persons once, got other numbers")
    return table
