"""A published set that was read -> the rows of its store: order, splits, roles, and what is not whole.

Tracklets keep the official order within train, validation, test and distractors; junk, which is never asked
for either, stands among the distractors. Where a set has no validation split, some training identities
become it: training looks at identities that it does not learn (C: the share and the seed).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.data.readers.names import Ints, owners, ranges
from sttreid.data.readers.tracklets import JUNK, PERSON, Tracklets
from sttreid.data.store import DISTRACTORS, SPLITS, TEST
from sttreid.datasets import OnError, Validation
from sttreid.errors import InputError

_LAST: Final = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Arrangement:
    """T tracklets with F pictures in the order of the store; a picture's row is made when it is asked for.

    Attributes:
        tracklets: one row a tracklet, [T]: identity, camera, split, query, gallery, junk, folder, length.
        frames: numbers of the pictures, int32 [F].
        files: names in their folders, string [more than F], and ...
        picked: ... the place of each picture among them, [F].
        incomplete: a row for each tracklet that lacks pictures, as plain values: split, row, folder,
            identity, camera, pictures (that there are names of), missing.
    """

    tracklets: pd.DataFrame
    frames: NDArray[np.int32]
    files: pa.Array
    picked: Ints
    incomplete: list[dict[str, Any]]

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        """The tracklet of every picture, [F]."""
        return owners(self.tracklets["length"].to_numpy()).astype(np.int32)

    def __len__(self) -> int:
        """F."""
        return len(self.picked)

    def index(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """One row a picture with the columns of :data:`sttreid.data.store.WITH_ROLES`, of a range of them."""
        owner = self.owner[start:stop]
        own = self.tracklets.take(owner).reset_index(drop=True).drop(columns=["folder", "length"])
        return own.assign(tracklet=owner, frame=self.frames[start:stop], visibility=np.float32(np.nan))

    def names(self, start: int = 0, stop: int | None = None) -> pa.Array:
        """Paths relative to the root of the set, string, of a range of the pictures."""
        folders = pa.array(self.tracklets["folder"], pa.string()).take(pa.array(self.owner[start:stop]))
        files = self.files.take(pa.array(self.picked[start:stop]))
        return pc.binary_join_element_wise(folders, files, "/")


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
    length = table["length"].to_numpy(np.int64)
    picked = ranges(table["start"].to_numpy(np.int64), length)
    frames = _ascending(found.frames[picked], length).astype(np.int32)
    columns = ["identity", "camera", "split", "query", "gallery", "junk", "folder", "length"]
    own = table.assign(junk=table["kind"] == JUNK)[columns]
    return Arrangement(own, frames, found.files, picked, incomplete)


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


def _ascending(frames: Ints, lengths: Ints) -> Ints:
    """The frames' numbers; 1, 2, ... in a tracklet whose own numbers do not ascend or are too large."""
    starts = np.cumsum(lengths) - lengths
    owner = owners(lengths)
    wrong = np.flatnonzero((np.diff(frames, prepend=0) <= 0) | (frames > _LAST))
    wrong = wrong[~np.isin(wrong, starts) | (frames[wrong] > _LAST)]
    renumbered = np.isin(owner, np.unique(owner[wrong]))
    return np.where(renumbered, np.arange(len(frames)) - starts[owner] + 1, frames)
