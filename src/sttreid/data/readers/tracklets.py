"""What every reader returns: one typed table of tracklets, and the names of their pictures.

A real data set has millions of pictures, so what is known of each lies in a spool on the disk: its name,
without the folder, which a tracklet's pictures share, and its number. The table is what memory holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.data.readers.checks import Check, compare, enforce
from sttreid.data.readers.names import Ints
from sttreid.data.readers.spool import Spool
from sttreid.runtime.errors import InputError

Split = Literal["train", "validation", "test"]
PERSON, DISTRACTOR, JUNK = "person", "distractor", "junk"
NO_LABEL: Final = -1
FRAME: Final = "frame"
COLUMNS: Final = {
    "identity": "int32",
    "label": "int32",
    "camera": "int32",
    "split": "str",
    "kind": "str",
    "query": "bool",
    "gallery": "bool",
    "row": "int32",
    "folder": "str",
    "start": "int64",
    "length": "int32",
    "missing": "int32",
}


@dataclass(frozen=True, eq=False)
class Tracklets:
    """A data set that was read: T tracklets with F pictures.

    Attributes:
        name: of the data set, as it is printed.
        root: the folder that ``folder`` is relative to.
        table: one row a tracklet, [T] rows, with the columns of ``COLUMNS``, numbered from 0, in the official
            order of each split:

            - identity: as the data set numbers it;
            - label: class from 0 in the sorted order of the training identities, -1 outside ``train``;
            - camera: as the data set numbers it;
            - split: ``train``, ``validation`` or ``test``;
            - kind: ``person``; ``distractor``, who is searched and never asked for; or ``junk``, which counts
              neither as right nor as wrong;
            - query, gallery: whether it asks and whether it answers; both for a query that also stands in the
              gallery;
            - row: from 1, in the list or the folder that it comes from, as official index files count;
            - folder: of its pictures, relative to ``root``, with forward slashes;
            - start, length: its pictures in the spool; the length is 0 if none is left;
            - missing: pictures that the lists promise and that are not there.
        spool: names of the pictures and their numbers in the video, ``frame``, those of a tracklet by
            ascending frame.
        checks: the official counts next to those of this copy.
        remarks: sentences about what is worth knowing and breaks no rule.
    """

    name: str
    root: Path
    table: pd.DataFrame
    spool: Spool
    checks: tuple[Check, ...]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """F."""
        return int(self.table["length"].sum())

    @property
    def classes(self) -> int:
        """Number of training identities."""
        return int(self.table["label"].max()) + 1

    @property
    def mismatches(self) -> tuple[str, ...]:
        """A sentence for each count that is off."""
        return tuple(str(check) for check in self.checks if not check.passed)

    def pictures(self, tracklet: int) -> list[PurePosixPath]:
        """The pictures of one tracklet (a row of ``table``), relative to ``root``, by ascending frame.

        Names that the lists promise are among them, whether or not the file is there.
        """
        names = self.spool.names(*self._places(tracklet)).to_pylist()
        folder = PurePosixPath(self.table["folder"].iloc[tracklet])
        return [folder / name for name in names]

    def frames(self, tracklet: int) -> Ints:
        """The numbers of one tracklet's pictures in the video, int64 [its length]."""
        return self.spool.numbers(FRAME, *self._places(tracklet))

    def _places(self, tracklet: int) -> tuple[Ints, Ints]:
        start, length = (self.table[name].to_numpy(np.int64) for name in ("start", "length"))
        return start[tracklet : tracklet + 1], length[tracklet : tracklet + 1]


Count = Callable[[pd.DataFrame], Mapping[str, int]]


def assemble(
    name: str,
    root: Path,
    parts: Sequence[pd.DataFrame],
    spool: Spool,
    official: Mapping[str, int],
    count: Count,
    found: Sequence[Check] = (),
    strict: bool = False,
) -> Tracklets:
    """One data set from its parts.

    Args:
        name: as it is printed.
        root: the folder that the tracklets' folders are relative to.
        parts: tracklets of one list or folder each, in the order of the table: the columns identity, camera,
            split, kind, query, gallery, folder, start, length, missing; columns besides these are dropped.
        spool: their pictures.
        official: what a complete copy holds.
        count: takes the same counts from the table.
        found: further checks.
        strict: whether a check that fails is an error.

    Raises:
        InputError: there is no tracklet; ``strict``, and a check failed.
    """
    rows = [part.assign(row=np.arange(1, len(part) + 1)) for part in parts]
    table = pd.concat(rows, ignore_index=True)
    if table.empty:
        raise InputError(f"{root}: {name} must hold at least one tracklet, got none")
    table["label"] = labels(table)
    table = table[list(COLUMNS)].astype(COLUMNS)
    checks = (*compare(official, count(table)), *found)
    if strict:
        enforce(root, checks)
    return Tracklets(name, root, table, spool, checks)


def labels(table: pd.DataFrame) -> NDArray[np.int64]:
    """Classes from 0 in the sorted numeric order of the training identities; NO_LABEL elsewhere."""
    train = (table["split"] == "train").to_numpy()
    found = np.full(len(table), NO_LABEL)
    found[train] = np.unique(table["identity"].to_numpy()[train], return_inverse=True)[1]
    return found
