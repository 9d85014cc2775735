"""What the reader of a published set returns: one table of tracklets, and the names of their images.

A set may have millions of images. Their file names and frame numbers are in a buffer on disk; memory holds
only the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import Ints
from sttreid.data.published.official_counts import CountCheck, compare_counts, require
from sttreid.runtime.errors import InputError

PERSON, DISTRACTOR, JUNK = "person", "distractor", "junk"
NO_LABEL: Final = -1
FRAME: Final = "frame"
LARGEST: Final = 2**31 - 1  # number that the store holds
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
class PublishedSet:
    """T tracklets with F images.

    Attributes:
        name: of the data set, as it is printed.
        root: the folder that ``folder`` is relative to.
        table: one row per tracklet, [T], with the columns ``COLUMNS``, numbered from 0, in the official order
            of each split:

            - identity: as the data set numbers it;
            - label: class from 0 in the sorted order of the training identities, -1 outside ``train``;
            - camera: as the data set numbers it;
            - split: ``train``, ``validation`` or ``test``;
            - kind: ``person``; ``distractor``, in the gallery and never a query; or ``junk``, never ranked;
            - query, gallery: whether it is a query, whether it is in the gallery; both may hold;
            - row: from 1, in its list or folder, as official index files count;
            - folder: of its images, relative to ``root``, with forward slashes;
            - start, length: its images in the buffer; the length is 0 if none is left;
            - missing: images that the lists declare and that do not exist.
        buffer: names of the images and their frame numbers, ``frame``, those of a tracklet by ascending
            frame.
        checks: the official counts next to those of this copy.
        remarks: observations that break no rule, as sentences.
    """

    name: str
    root: Path
    table: pd.DataFrame
    buffer: DiskBuffer
    checks: tuple[CountCheck, ...]
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
        """A sentence for each count that differs from the official one."""
        return tuple(str(check) for check in self.checks if not check.passed)

    def image_paths(self, row: int) -> list[PurePosixPath]:
        """The images of one tracklet (a row of ``table``), relative to ``root``, by ascending frame.

        Files that the lists declare are included, whether or not they exist.
        """
        names = self.buffer.names(*self._range(row)).to_pylist()
        folder = PurePosixPath(self.table["folder"].iloc[row])
        return [folder / name for name in names]

    def frame_numbers(self, row: int) -> Ints:
        """The frame numbers of one tracklet's images, int64 [its length]."""
        return self.buffer.numbers(FRAME, *self._range(row))

    def _range(self, row: int) -> tuple[Ints, Ints]:
        start, length = (self.table[name].to_numpy(np.int64) for name in ("start", "length"))
        return start[row : row + 1], length[row : row + 1]


def assemble(
    name: str,
    root: Path,
    parts: Sequence[pd.DataFrame],
    buffer: DiskBuffer,
    official: Mapping[str, int],
    count: Callable[[pd.DataFrame], Mapping[str, int]],
    checks: Sequence[CountCheck] = (),
    strict: bool = False,
) -> PublishedSet:
    """Put a data set together.

    Args:
        name: as it is printed.
        root: the folder that the tracklets' folders are relative to.
        parts: tracklets of one list or folder each, in the order of the table: the columns identity, camera,
            split, kind, query, gallery, folder, start, length, missing; further columns are dropped.
        buffer: their images.
        official: the counts of a complete copy.
        count: takes the same counts from the table.
        checks: further checks.
        strict: whether a failed check is an error.

    Raises:
        InputError: there is no tracklet; a number is larger than the store can hold; ``strict``, and a check
            failed.
    """
    rows = [part.assign(row=np.arange(1, len(part) + 1)) for part in parts]
    table = pd.concat(rows, ignore_index=True)
    if table.empty:
        raise InputError(f"{root}: {name} must hold at least one tracklet, got none")
    table["label"] = training_labels(table)
    _check_numbers(root, table)
    table = table[list(COLUMNS)].astype(COLUMNS)
    checks = (*compare_counts(official, count(table)), *checks)
    if strict:
        require(root, checks)
    return PublishedSet(name, root, table, buffer, checks)


def _check_numbers(root: Path, table: pd.DataFrame) -> None:
    """Check that the store can hold the numbers; a conversion would wrap larger ones in silence."""
    for column in (name for name, kind in COLUMNS.items() if kind == "int32"):
        wrong = ~table[column].between(-LARGEST, LARGEST).to_numpy()
        if wrong.any():
            first = table.iloc[int(wrong.argmax())]
            rule = f"{column} must be at most {LARGEST:,}"
            raise InputError(f"{root / first['folder']}: {rule}, got {first[column]:,}")


def training_labels(table: pd.DataFrame) -> NDArray[np.int64]:
    """Classes from 0 in the sorted numeric order of the training identities; NO_LABEL elsewhere, [T]."""
    train = (table["split"] == "train").to_numpy()
    labels = np.full(len(table), NO_LABEL)
    labels[train] = np.unique(table["identity"].to_numpy()[train], return_inverse=True)[1]
    return labels
