"""LS-VID (Li et al., Global-Local Temporal Representations for Video Person Re-Identification, ICCV 2019).

::

    list_sequence/list_seq_{train,val,test}.txt      `<path and prefix of the image names> <identity>`
    tracklet_{train,val,test}/0841/...               the third word between _ of a name is the camera

Three layouts are in use. Lists and indexes are at ``list_sequence/`` and ``test/data/info_test.mat``; or all
below ``info/``; or the indexes are ``test/info_test.npy`` and ``test/query.npy``. ``info_test`` is [start,
end, identity, camera] of every line of the list, ``query`` holds rows of it, from 1. Identity 0 of the test
is a real identity. All test tracklets are in the gallery, the queries included. The images of a line are
those whose names have its prefix; where the prefix of one line extends that of another, the longer one wins.
The index takes precedence over lists and names in identity and camera.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from sttreid.data.folder_listing import check_relative, first_existing, image_names, locate
from sttreid.data.published.disk_buffer import DiskBuffer, blocks
from sttreid.data.published.file_names import (
    Ints,
    find_differing,
    first_values,
    pattern_groups,
    tracklet_index,
)
from sttreid.data.published.matlab import read_queries, read_table
from sttreid.data.published.official_counts import CountCheck, expect_none, unmatched_queries
from sttreid.data.published.published_set import FRAME, PERSON, PublishedSet, assemble
from sttreid.data.published.text_lists import read_lines
from sttreid.data.published.tracklet_folders import append_sorted
from sttreid.data.registry import NoOptions, Reader, ReadSettings
from sttreid.runtime.errors import InputError

LANDMARKS: Final = (("list_sequence",), ("info/list_sequence",))
IMAGE: Final = r"^[^_]*_[^_]*_(?P<camera>\d{1,4})\D(?:.*\D)?(?P<frame>\d{1,18})\D*\.(?i:jpe?g|png)$"
EXAMPLE: Final = "0841_0001_10_0002_000123.jpg"
LISTS: Final = ("list_sequence", "info/list_sequence")
INDEXES: Final[dict[str, tuple[str, ...]]] = {
    "val": ("test/data/info_val.mat", "info/data/info_val.mat", "val/data/info_val.mat"),
    "test": ("test/data/info_test.mat", "info/data/info_test.mat", "test/info_test.npy"),
}
HIGHEST: Final = "\U0010ffff"  # sorts after every character of a name
OFFICIAL: Final = {
    "training identities": 842,
    "training tracklets": 2_831,
    "validation identities": 200,
    "validation tracklets": 779,
    "validation queries": 252,
    "test identities": 2_730,
    "test tracklets of identity 0 or more": 11_333,
    "highest identity of the test": 2_729,
    "test images": 2_277_075,
    "test images of the shortest tracklet": 60,
    "test images of the longest tracklet": 2_533,
    "test cameras": 15,
    "queries": 3_504,
    "queries without a match": 4,
    "queries without a match in rows 3226, 3274, 5606 and 10681": 4,
}
_UNMATCHED: Final = (3_226, 3_274, 5_606, 10_681)


@dataclass(frozen=True, eq=False)
class _List:
    """A list: where the images of its T lines are, and the prefix of their names."""

    path: Path
    folders: list[str]
    prefixes: list[str]
    identities: Ints


def read_ls_vid(folder: Path, strict: bool = False, scratch: Path | None = None) -> PublishedSet:
    """Read LS-VID in any of its layouts.

    Without its list there is no validation split, and without its index no validation query; either is a
    count that differs.

    Args:
        folder: ``LS-VID`` or its parent.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not LS-VID; a list or an index is missing, cannot be read, leaves the data set or
            does not fit the other; an image is misnamed; ``strict``, and a count differs or an image is
            missing.
    """
    root = locate(folder, "ls_vid", LANDMARKS)
    lists = first_existing(root, LISTS, "the lists")
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    parts, checks = [], []
    for side, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        path = lists / f"list_seq_{side}.txt"
        if side == "val" and not path.exists():
            continue
        has_index = side == "test" or any((root / name).exists() for name in INDEXES.get(side, ()))
        read = _read_indexed if has_index else _read_listed
        rows, split_checks = read(buffer, root, _read_list(path), side, split)
        parts.append(rows)
        checks += split_checks
    return assemble("LS-VID", root, parts, buffer, OFFICIAL, _counts, checks, strict)


def _read(folder: Path, options: NoOptions, settings: ReadSettings) -> PublishedSet:  # noqa: ARG001
    return read_ls_vid(folder, settings.strict, settings.scratch)


READER = Reader(name="ls_vid", read=_read, protocol="lsvid-official", options=NoOptions, landmarks=LANDMARKS)


def _read_list(path: Path) -> _List:
    folders, prefixes, identities = [], [], []
    for number, line in enumerate(read_lines(path).to_pylist(), 1):
        text, _, identity = line.rpartition(" ")
        if not text or not re.fullmatch(r"\d{1,9}", identity, re.ASCII):  # what fits an int32
            rule = "a line must be a path and an identity of at most 9 digits"
            raise InputError(f"{path}:{number}: {rule}, got {line!r}")
        prefix = check_relative(f"{path}:{number}", text)
        folders.append((prefix if text.endswith("/") else prefix.parent).as_posix())
        prefixes.append("" if text.endswith("/") else prefix.name)
        identities.append(int(identity))
    repeated = pd.DataFrame({"folder": folders, "prefix": prefixes}).duplicated().to_numpy()
    if repeated.any():
        raise InputError(f"{path}:{repeated.argmax() + 1}: a tracklet must be listed once, got it twice")
    return _List(path, folders, prefixes, np.array(identities, np.int64))


def _read_listed(
    buffer: DiskBuffer,
    root: Path,
    listed: _List,
    side: str,  # noqa: ARG001
    split: str,
) -> tuple[pd.DataFrame, list[CountCheck]]:
    """The tracklets of a list, without the index."""
    rows = pd.DataFrame({"identity": listed.identities, "split": split})
    rows["start"], rows["length"] = _append_images(buffer, root, listed)
    rows["camera"], mixed = _cameras(buffer, rows["start"].to_numpy(), rows["length"].to_numpy())
    rows["kind"], rows["query"], rows["gallery"] = PERSON, False, split != "train"
    rows["folder"], rows["missing"] = listed.folders, 0
    empty = [f"{listed.path}:{row + 1}" for row in np.flatnonzero(rows["length"] == 0)]
    name = listed.path.name
    return rows, [
        expect_none(f"lines of {name} without an image", empty),
        expect_none(f"lines of {name} with several cameras", [f"line {row + 1}" for row in mixed]),
    ]


def _cameras(buffer: DiskBuffer, starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The camera of each line's first image, -1 without one, and the lines with several cameras."""
    cameras, mixed = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in blocks(lengths):
        numbers = buffer.numbers("camera", starts[block], lengths[block])
        cameras.append(first_values(numbers, lengths[block]))
        wrong = find_differing(numbers, lengths[block], cameras[-1])
        mixed.append(block.start + np.unique(tracklet_index(lengths[block])[wrong]))
    return np.concatenate(cameras), np.concatenate(mixed)


def _read_indexed(
    buffer: DiskBuffer, root: Path, listed: _List, side: str, split: str
) -> tuple[pd.DataFrame, list[CountCheck]]:
    """The tracklets of a list with an index; where the two differ, the index counts."""
    info = first_existing(root, INDEXES[side], f"the index of the {split} split")
    table = _read_index(info, side, listed)
    rows, checks = _read_listed(buffer, root, listed, side, split)
    other_camera = (rows["length"] > 0) & (rows["camera"] != table[:, 3])
    expected = table[:, 1] - table[:, 0] + 1
    length = rows["length"].to_numpy()
    other_identity = rows["identity"].to_numpy() != table[:, 2]
    rows["identity"], rows["camera"] = table[:, 2], table[:, 3]
    rows["missing"] = np.maximum(expected - length, 0)
    lines = np.array([f"{listed.path}:{row}" for row in range(1, len(rows) + 1)])
    queries = info.with_name(info.name.replace(f"info_{side}", "query")) if info.suffix == ".npy" else info
    rows["query"] = read_queries(queries, "query", len(rows))
    missing, extra = int(rows["missing"].sum()), int(np.maximum(length - expected, 0).sum())
    wrong = lines[expected != length]
    note = f"the first line is {wrong[0]}" if len(wrong) else ""
    return rows, [
        *checks,
        expect_none(f"{split} tracklets of another identity than in {info.name}", lines[other_identity]),
        expect_none(f"{split} tracklets of another camera than in {info.name}", lines[other_camera]),
        CountCheck(f"{split} images that {info.name} counts and that do not exist", 0, missing, note),
        CountCheck(f"{split} images that {info.name} does not count", 0, extra, note),
    ]


def _read_index(path: Path, side: str, listed: _List) -> Ints:
    """[start, end, identity, camera] of every line."""
    table = read_table(path, f"info_{side}", 4)
    if len(table) != len(listed.identities):
        raise InputError(
            f"{path}: must have a row for each of {len(listed.identities)} lines of {listed.path},"
            f" got {len(table)}"
        )
    return table


def _append_images(buffer: DiskBuffer, root: Path, listed: _List) -> tuple[Ints, Ints]:
    """Append the images folder by folder: each folder is listed once, whatever the order of the lines.

    Returns:
        Index in the buffer of each line's first image, and its number of images, [T] each.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, folder in enumerate(listed.folders):
        rows[folder].append(row)
    listings = ((folder, names) for folder in rows for names in _images(root, folder, listed, rows[folder]))
    start, lengths = len(buffer), append_sorted(buffer, root, listings, IMAGE, EXAMPLE, FRAME)[1]
    order = np.argsort([row for folder_rows in rows.values() for row in folder_rows])
    return (start + np.cumsum(lengths) - lengths)[order], lengths[order]


def _images(root: Path, folder: str, listed: _List, rows: list[int]) -> list[pa.Array]:
    """The image names of the lines of one folder."""
    names = sorted(image_names(root / folder)) if (root / folder).is_dir() else []
    return _divide(names, [listed.prefixes[row] for row in rows])


def _divide(names: list[str], prefixes: list[str]) -> list[pa.Array]:
    """The names with each prefix; the names must be sorted."""
    owner: Ints = np.full(len(names), -1)
    for index in sorted(range(len(prefixes)), key=lambda index: len(prefixes[index])):
        start = bisect_left(names, prefixes[index])
        owner[start : bisect_left(names, prefixes[index] + HIGHEST)] = index
    order = np.argsort(owner, kind="stable")
    array = pa.array(names, pa.string()).take(pa.array(order))
    edges = np.searchsorted(owner[order], np.arange(len(prefixes) + 1)).tolist()
    return [array.slice(start, end - start) for start, end in pairwise(edges)]


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, val, test = (table[table["split"] == split] for split in ("train", "validation", "test"))
    unmatched = unmatched_queries(test[test["query"]], test)
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        "validation identities": val["identity"].nunique(),
        "validation tracklets": len(val),
        "validation queries": val["query"].sum(),
        "test identities": test["identity"].nunique(),
        "test tracklets of identity 0 or more": (test["identity"] >= 0).sum(),
        "highest identity of the test": test["identity"].max(),
        "test images": test["length"].sum(),
        "test images of the shortest tracklet": test["length"].min(),
        "test images of the longest tracklet": test["length"].max(),
        "test cameras": test["camera"].nunique(),
        "queries": test["query"].sum(),
        "queries without a match": len(unmatched),
        "queries without a match in rows 3226, 3274, 5606 and 10681": unmatched["row"].isin(_UNMATCHED).sum(),
    }
