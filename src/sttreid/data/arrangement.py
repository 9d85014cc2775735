"""A published set that was read -> the rows of its store: order, splits, roles, and what is not whole.

Tracklets keep the official order within train, validation, test and distractors; junk, which is never asked
for either, stands among the distractors. Where a set has no validation split, some training identities
become it: training looks at identities that it does not learn (C: the share and the seed). Pictures whose
numbers do not ascend in a tracklet, or are too large, are numbered 1, 2, ... there.
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
from sttreid.data.readers.names import Ints, owners, ranges
from sttreid.data.readers.spool import Spool, blocks
from sttreid.data.readers.tracklets import FRAME, JUNK, PERSON, Tracklets
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import DISTRACTORS, SPLITS, TEST

_LAST: Final = np.iinfo(np.int32).max
_ROW: Final = ["identity", "camera", "split", "query", "gallery", "junk"]  # of a picture, its tracklet's


@dataclass(frozen=True, eq=False)
class Arrangement:
    """T tracklets with F pictures in the order of the store; a picture's row is made when it is asked for.

    Attributes:
        tracklets: one row a tracklet, [T]: identity, camera, split, query, gallery, junk, folder, start (in
            the spool), length, numbered (whether the numbers of its pictures ascend).
        spool: names of the pictures in their folders and numbers in their videos.
        incomplete: a row for each tracklet that lacks pictures, as plain values: split, row, folder,
            identity, camera, pictures (that there are names of), missing.
    """

    tracklets: pd.DataFrame
    spool: Spool
    incomplete: list[dict[str, Any]]

    @cached_property
    def _ends(self) -> Ints:
        """The place behind each tracklet's last picture, [T]."""
        ends: Ints = np.cumsum(self.tracklets["length"].to_numpy(np.int64))
        return ends

    @cached_property
    def _folders(self) -> pa.Array:
        return pa.array(self.tracklets["folder"].tolist(), pa.string())

    def __len__(self) -> int:
        """F."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def owners(self, places: Ints) -> Ints:
        """The tracklets of some pictures, [N]."""
        return np.searchsorted(self._ends, places, side="right")

    def index(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """One row a picture with the columns of :data:`sttreid.tracklets.store.WITH_ROLES`, of a range of them."""
        rows, first, counts = self._parts(start, stop)
        owner = np.repeat(rows, counts).astype(np.int32)
        begin, own = (self.tracklets[name].to_numpy()[rows] for name in ("start", "numbered"))
        numbers = self.spool.numbers(FRAME, begin + first, counts)
        frames = np.where(np.repeat(own, counts), numbers, ranges(first + 1, counts)).astype(np.int32)
        found = self.tracklets[_ROW].take(owner).reset_index(drop=True)
        return found.assign(tracklet=owner, frame=frames, visibility=np.float32(np.nan))

    def names(self, start: int = 0, stop: int | None = None) -> pa.Array:
        """Paths relative to the root of the set, string, of a range of the pictures."""
        rows, first, counts = self._parts(start, stop)
        folders = self._folders.take(pa.array(np.repeat(rows, counts)))
        files = self.spool.names(self.tracklets["start"].to_numpy()[rows] + first, counts)
        return pc.binary_join_element_wise(folders, files, "/")

    def _parts(self, start: int, stop: int | None) -> tuple[Ints, Ints, Ints]:
        """A range of pictures: K tracklets, from which picture of each on, and how many, [K] each."""
        stop = len(self) if stop is None else min(stop, len(self))
        edges = self.owners(np.array([start, stop - 1]))
        rows = np.arange(edges[0], edges[1] + 1 if start < stop else edges[0])
        begin = self._ends[rows] - self.tracklets["length"].to_numpy(np.int64)[rows]
        first = np.maximum(start - begin, 0)
        return rows, first, np.minimum(stop, self._ends[rows]) - begin - first


def arrange_published(found: Tracklets, validation: Validation, on_error: OnError) -> Arrangement:
    """Bring a set into the store's order.

    Args:
        found: the set.
        validation: which training identities validate if the set has no such split.
        on_error: what becomes of tracklets that lack pictures which a list or an index promises: ``raise``,
            or ``skip`` those pictures and list the tracklets. A tracklet without any picture gets no row.

    Raises:
        InputError: ``raise``, and a tracklet lacks pictures; the set has a training split of fewer than two
            identities and no validation split.
    """
    incomplete = _incomplete(found, on_error)
    table = found.table.assign(split=_splits(found.table, validation))
    table = table[table["length"] > 0]
    table = table.iloc[np.argsort(table["split"].map(SPLITS.index), kind="stable")].reset_index(drop=True)
    starts, lengths = (table[name].to_numpy(np.int64) for name in ("start", "length"))
    numbered = [
        _ascend(found.spool.numbers(FRAME, starts[b], lengths[b]), lengths[b]) for b in blocks(lengths)
    ]
    table = table.assign(junk=table["kind"] == JUNK, numbered=np.concatenate(numbered))
    columns = [*_ROW, "folder", "start", "length", "numbered"]
    return Arrangement(table[columns], found.spool, incomplete)


def _incomplete(found: Tracklets, on_error: OnError) -> list[dict[str, Any]]:
    rows = found.table[(found.table["missing"] > 0) | (found.table["length"] == 0)]
    columns = ["split", "row", "folder", "identity", "camera", "length", "missing"]
    listed: list[dict[str, Any]] = rows[columns].rename(columns={"length": "pictures"}).to_dict("records")
    if listed and on_error == "raise":
        first = listed[0]
        raise InputError(
            f"{found.root / first['folder']}: a tracklet must have all its pictures, but row {first['row']}"
            f" of {first['split']} (identity {first['identity']}, camera {first['camera']}) lacks"
            f" {first['missing'] or 'all'} of them, and {len(listed) - 1} more tracklets lack some;"
            f" decode.on_error=skip goes on without them and lists them"
        )
    return listed


def _splits(table: pd.DataFrame, validation: Validation) -> pd.Series:
    """The split of every tracklet in the store."""
    split = table["split"].mask((table["split"] == TEST) & (table["kind"] != PERSON), DISTRACTORS)
    if (split == "validation").any() or not (split == "train").any():
        return split
    return split.mask((split == "train") & table["identity"].isin(held_out(table, validation)), "validation")


def held_out(table: pd.DataFrame, validation: Validation) -> Ints:
    """The training identities that validate instead, ascending; those that two cameras saw come first.

    Raises:
        InputError: there are fewer than two identities that train.
    """
    train = table[(table["split"] == "train") & (table["length"] > 0)]
    cameras = train.groupby("identity")["camera"].nunique()
    if len(cameras) < 2:
        rule = "a training split that also validates must hold at least 2 identities"
        raise InputError(f"{rule}, got {len(cameras)}")
    order = np.random.default_rng(validation.seed).permutation(len(cameras))
    order = order[np.argsort(cameras.to_numpy()[order] < 2, kind="stable")]
    count = min(max(1, round(validation.share * len(cameras))), len(cameras) - 1)
    chosen: Ints = np.sort(cameras.index.to_numpy(np.int64)[order[:count]])
    return chosen


def _ascend(frames: Ints, lengths: Ints) -> NDArray[np.bool_]:
    """Whether the numbers of each tracklet's pictures ascend and are not too large, [T]."""
    again = np.diff(frames, prepend=0) <= 0
    again[np.cumsum(lengths) - lengths] = False
    found: NDArray[np.bool_] = np.bincount(owners(lengths), again | (frames > _LAST), len(lengths)) == 0
    return found
