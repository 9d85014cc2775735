"""A published set -> the rows of its store: order, splits, roles, and which tracklets are incomplete.

Tracklets keep the official order within train, validation, test and distractors; junk, which is never a query
either, is stored among the distractors. In a set without validation split, some training identities form it
(our choice: :func:`sttreid.data.splits.validation_identities`). Images are numbered 1, 2, ... in tracklets
whose frame numbers do not ascend or are too large.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.config.datasets import OnError, Validation
from sttreid.data.published.disk_buffer import DiskBuffer, blocks
from sttreid.data.published.file_names import Ints, concatenate_ranges, tracklet_index
from sttreid.data.published.published_set import FRAME, JUNK, PERSON, PublishedSet
from sttreid.data.splits import validation_identities
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import DISTRACTORS, SPLITS, TEST

_LARGEST: Final = np.iinfo(np.int32).max
_OF_TRACKLET: Final = ["identity", "camera", "split", "query", "gallery", "junk"]


@dataclass(frozen=True, eq=False)
class StoreRows:
    """T tracklets with F images in the order of the store; image rows are built on demand.

    Attributes:
        tracklets: one row per tracklet, [T]: identity, camera, split, query, gallery, junk, folder, start (in
            the buffer), length, ascending (whether the frame numbers of its images ascend).
        buffer: names of the images in their folders, and their frame numbers.
        incomplete: a row for each tracklet that lacks images, as plain values: split, row, folder, identity,
            camera, images (with a name), missing.
    """

    tracklets: pd.DataFrame
    buffer: DiskBuffer
    incomplete: list[dict[str, Any]]

    @cached_property
    def _ends(self) -> Ints:
        """The row after each tracklet's last image, [T]."""
        ends: Ints = np.cumsum(self.tracklets["length"].to_numpy(np.int64))
        return ends

    @cached_property
    def _folders(self) -> pa.Array:
        return pa.array(self.tracklets["folder"].tolist(), pa.string())

    def __len__(self) -> int:
        """F."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def tracklet_of(self, rows: Ints) -> Ints:
        """The tracklets of some images, [N]."""
        return np.searchsorted(self._ends, rows, side="right")

    def index(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """The rows of a range of images: columns :data:`sttreid.tracklets.store.WITH_ROLES`."""
        rows, first, counts = self._parts(start, stop)
        tracklet = np.repeat(rows, counts).astype(np.int32)
        begin, ascending = (self.tracklets[name].to_numpy()[rows] for name in ("start", "ascending"))
        numbers = self.buffer.numbers(FRAME, begin + first, counts)
        counted = concatenate_ranges(first + 1, counts)
        frames = np.where(np.repeat(ascending, counts), numbers, counted).astype(np.int32)
        table = self.tracklets[_OF_TRACKLET].take(tracklet).reset_index(drop=True)
        return table.assign(tracklet=tracklet, frame=frames, visibility=np.float32(np.nan))

    def names(self, start: int = 0, stop: int | None = None) -> pa.Array:
        """The paths of a range of images, relative to the root of the set, string."""
        rows, first, counts = self._parts(start, stop)
        folders = self._folders.take(pa.array(np.repeat(rows, counts)))
        files = self.buffer.names(self.tracklets["start"].to_numpy()[rows] + first, counts)
        return pc.binary_join_element_wise(folders, files, "/")

    def _parts(self, start: int, stop: int | None) -> tuple[Ints, Ints, Ints]:
        """A range of images in K tracklets: tracklet, first image in it, number of images, [K] each."""
        stop = len(self) if stop is None else min(stop, len(self))
        edges = self.tracklet_of(np.array([start, stop - 1]))
        rows = np.arange(edges[0], edges[1] + 1 if start < stop else edges[0])
        begin = self._ends[rows] - self.tracklets["length"].to_numpy(np.int64)[rows]
        first = np.maximum(start - begin, 0)
        return rows, first, np.minimum(stop, self._ends[rows]) - begin - first


def order_rows(published: PublishedSet, validation: Validation, on_error: OnError) -> StoreRows:
    """Bring a published set into the order of its store.

    Args:
        published: the set.
        validation: which training identities validate, if the set has no such split.
        on_error: for tracklets that lack images which a list or an index declares: ``raise``, or ``skip``
            those images and list the tracklets. A tracklet without any image gets no row.

    Raises:
        InputError: ``raise``, and a tracklet lacks images; the set has no validation split, and fewer than
            two training identities.
    """
    incomplete = _incomplete(published, on_error)
    table = published.table.assign(split=_splits(published, validation))
    table = table[table["length"] > 0]
    table = table.iloc[np.argsort(table["split"].map(SPLITS.index), kind="stable")].reset_index(drop=True)
    starts, lengths = (table[name].to_numpy(np.int64) for name in ("start", "length"))
    ascending = [
        _ascend(published.buffer.numbers(FRAME, starts[block], lengths[block]), lengths[block])
        for block in blocks(lengths)
    ]
    table = table.assign(junk=table["kind"] == JUNK, ascending=np.concatenate(ascending))
    columns = [*_OF_TRACKLET, "folder", "start", "length", "ascending"]
    return StoreRows(table[columns], published.buffer, incomplete)


def _incomplete(published: PublishedSet, on_error: OnError) -> list[dict[str, Any]]:
    rows = published.table[(published.table["missing"] > 0) | (published.table["length"] == 0)]
    columns = ["split", "row", "folder", "identity", "camera", "length", "missing"]
    entries: list[dict[str, Any]] = rows[columns].rename(columns={"length": "images"}).to_dict("records")
    if entries and on_error == "raise":
        first = entries[0]
        raise InputError(
            f"{published.root / first['folder']}: a tracklet must have all its images, but row {first['row']}"
            f" of {first['split']} (identity {first['identity']}, camera {first['camera']}) lacks"
            f" {first['missing'] or 'all'} of them, and {len(entries) - 1} more tracklets lack some;"
            " decode.on_error=skip leaves them out and lists them"
        )
    return entries


def _splits(published: PublishedSet, validation: Validation) -> pd.Series:
    """The split of every tracklet in the store."""
    table = published.table
    split = table["split"].mask((table["split"] == TEST) & (table["kind"] != PERSON), DISTRACTORS)
    if (split == "validation").any() or not (split == "train").any():
        return split
    validates = table["identity"].isin(validation_identities(table, validation, published.root))
    return split.mask((split == "train") & validates, "validation")


def _ascend(frames: Ints, lengths: Ints) -> NDArray[np.bool_]:
    """Whether the frame numbers of each tracklet's images ascend and fit the index, [T]."""
    wrong = np.diff(frames, prepend=0) <= 0
    wrong[np.cumsum(lengths) - lengths] = False
    counts = np.bincount(tracklet_index(lengths), wrong | (frames > _LARGEST), len(lengths))
    ascending: NDArray[np.bool_] = counts == 0
    return ascending
