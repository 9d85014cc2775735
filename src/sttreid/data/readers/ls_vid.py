"""LS-VID (Li et al., Global-Local Temporal Representations for Video Person Re-Identification, ICCV 2019).

::

    list_sequence/list_seq_{train,val,test}.txt      `<path and beginning of the pictures' names> <identity>`
    tracklet_{train,val,test}/0841/...               the third word between _ of a name is the camera

Three layouts are in use. Lists and indexes lie at ``list_sequence/`` and ``test/data/info_test.mat``; or all
below ``info/``; or the indexes are ``test/info_test.npy`` and ``test/query.npy``. ``info_test`` is [start,
end, identity, camera] of every line of the list, ``query`` holds rows of it, from 1. Identity 0 of the test
is a real person. All test tracklets answer, the queries among them. A line's pictures are those whose names
begin with it; where one line's beginning is the beginning of another's, the longer one wins. What the index
says of identity and camera goes before what lists and names say.
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

from sttreid.data.readers.checks import Check, absent, unmatched
from sttreid.data.readers.folders import first_of, inside, locate, picture_names, read_lines
from sttreid.data.readers.matlab import read_queries, read_table
from sttreid.data.readers.names import Ints, differing, firsts, groups, owners
from sttreid.data.readers.spool import Spool, blocks
from sttreid.data.readers.tracklets import FRAME, PERSON, Split, Tracklets, assemble
from sttreid.data.readers.trees import append_sorted
from sttreid.runtime.errors import InputError

PICTURE: Final = r"^[^_]*_[^_]*_(?P<camera>\d{1,4})\D(?:.*\D)?(?P<frame>\d{1,18})\D*\.(?i:jpe?g|png)$"
EXAMPLE: Final = "0841_0001_10_0002_000123.jpg"
LISTS: Final = ("list_sequence", "info/list_sequence")
INFO: Final[dict[str, tuple[str, ...]]] = {
    "val": ("test/data/info_val.mat", "info/data/info_val.mat", "val/data/info_val.mat"),
    "test": ("test/data/info_test.mat", "info/data/info_test.mat", "test/info_test.npy"),
}
LAST: Final = "\U0010ffff"  # sorts after every character of a name
OFFICIAL: Final = {
    "training identities": 842,
    "training tracklets": 2_831,
    "validation identities": 200,
    "validation tracklets": 779,
    "validation queries": 252,
    "test identities": 2_730,
    "test tracklets of identity 0 or more": 11_333,
    "highest identity of the test": 2_729,
    "test pictures": 2_277_075,
    "test pictures of the shortest tracklet": 60,
    "test pictures of the longest tracklet": 2_533,
    "test cameras": 15,
    "queries": 3_504,
    "queries without a match": 4,
    "queries without a match in rows 3226, 3274, 5606 and 10681": 4,
}
_UNMATCHED: Final = (3_226, 3_274, 5_606, 10_681)


@dataclass(frozen=True, eq=False)
class _Lines:
    """A list: where the pictures of its T lines lie and how their names begin."""

    path: Path
    folders: list[str]
    beginnings: list[str]
    identities: Ints


def read_ls_vid(folder: Path, strict: bool = False, scratch: Path | None = None) -> Tracklets:
    """Read LS-VID in any of its layouts; ``folder`` is ``LS-VID`` or the one above it.

    Without its list the validation split is left out, and without its index it has no queries; either is told
    as a count that is off.

    Args:
        folder: of the data set.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no LS-VID; a list or an index is missing, cannot be read, leaves the data set or
            does not fit the other; a picture is misnamed; ``strict``, and a count is off or a picture is
            missing.
    """
    root = locate(folder, "ls_vid")
    lists = first_of(root, LISTS, "the lists")
    spool = Spool(groups(PICTURE), scratch)
    train, checks = _listed(spool, root, _read_list(lists / "list_seq_train.txt"), "train")
    parts = [train]
    if (lists / "list_seq_val.txt").exists():
        if any((root / place).exists() for place in INFO["val"]):
            validation, found = _indexed(spool, root, lists, "val", "validation")
        else:
            validation, found = _listed(spool, root, _read_list(lists / "list_seq_val.txt"), "validation")
        parts, checks = [*parts, validation], [*checks, *found]
    test, found = _indexed(spool, root, lists, "test", "test")
    return assemble("LS-VID", root, [*parts, test], spool, OFFICIAL, _counts, [*checks, *found], strict)


def _read_list(path: Path) -> _Lines:
    folders, beginnings, identities = [], [], []
    for number, line in enumerate(read_lines(path).to_pylist(), 1):
        text, _, identity = line.rpartition(" ")
        if not text or not re.fullmatch(r"\d{1,9}", identity, re.ASCII):  # what fits an int32
            rule = "a line must be a path and an identity of at most 9 digits"
            raise InputError(f"{path}:{number}: {rule}, got {line!r}")
        place = inside(f"{path}:{number}", text)
        folders.append((place if text.endswith("/") else place.parent).as_posix())
        beginnings.append("" if text.endswith("/") else place.name)
        identities.append(int(identity))
    twice = pd.DataFrame({"folder": folders, "beginning": beginnings}).duplicated().to_numpy()
    if twice.any():
        raise InputError(f"{path}:{twice.argmax() + 1}: a tracklet must stand in the list once, got it again")
    return _Lines(path, folders, beginnings, np.array(identities, np.int64))


def _listed(spool: Spool, root: Path, lines: _Lines, split: Split) -> tuple[pd.DataFrame, list[Check]]:
    """The tracklets of a list, without what an index could add."""
    rows = pd.DataFrame({"identity": lines.identities, "split": split})
    rows["start"], rows["length"] = _collect(spool, root, lines)
    rows["camera"], mixed = _cameras(spool, rows["start"].to_numpy(), rows["length"].to_numpy())
    rows["kind"], rows["query"], rows["gallery"] = PERSON, False, split != "train"
    rows["folder"], rows["missing"] = lines.folders, 0
    empty = [f"{lines.path}:{row + 1}" for row in np.flatnonzero(rows["length"] == 0)]
    return rows, [
        absent(f"lines of {lines.path.name} without a picture", empty),
        absent(f"lines of {lines.path.name} with several cameras", [f"line {row + 1}" for row in mixed]),
    ]


def _cameras(spool: Spool, starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The camera of each line's first picture, -1 without one, and the lines that have several."""
    cameras, mixed = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for own in blocks(lengths):
        found = spool.numbers("camera", starts[own], lengths[own])
        cameras.append(firsts(found, lengths[own]))
        wrong = differing(found, lengths[own], cameras[-1])
        mixed.append(own.start + np.unique(owners(lengths[own])[wrong]))
    return np.concatenate(cameras), np.concatenate(mixed)


def _indexed(
    spool: Spool, root: Path, lists: Path, side: str, split: Split
) -> tuple[pd.DataFrame, list[Check]]:
    """The tracklets of a list that has an index, which decides where the two differ."""
    info = first_of(root, INFO[side], f"the index of the {split} split")
    lines = _read_list(lists / f"list_seq_{side}.txt")
    table = _info(info, side, lines)
    rows, checks = _listed(spool, root, lines, split)
    other = (rows["length"] > 0) & (rows["camera"] != table[:, 3])
    expected = table[:, 1] - table[:, 0] + 1
    length = rows["length"].to_numpy()
    stranger = rows["identity"].to_numpy() != table[:, 2]
    rows["identity"], rows["camera"] = table[:, 2], table[:, 3]
    rows["missing"] = np.maximum(expected - length, 0)
    names = np.array([f"{lines.path}:{row}" for row in range(1, len(rows) + 1)])
    queries = info.with_name(info.name.replace(f"info_{side}", "query")) if info.suffix == ".npy" else info
    rows["query"] = read_queries(queries, "query", len(rows))
    short, long = int(rows["missing"].sum()), int(np.maximum(length - expected, 0).sum())
    where = names[expected != length]
    note = f"the first line is {where[0]}" if len(where) else ""
    return rows, [
        *checks,
        absent(f"{split} tracklets of another identity than in {info.name}", names[stranger]),
        absent(f"{split} tracklets of another camera than in {info.name}", names[other]),
        Check(f"{split} pictures that {info.name} counts and that are not there", 0, short, note),
        Check(f"{split} pictures that {info.name} does not count", 0, long, note),
    ]


def _info(path: Path, side: str, lines: _Lines) -> Ints:
    """[start, end, identity, camera] of every line."""
    table = read_table(path, f"info_{side}", 4)
    if len(table) != len(lines.identities):
        raise InputError(
            f"{path}: must have a row for each of {len(lines.identities)} lines of {lines.path},"
            f" got {len(table)}"
        )
    return table


def _collect(spool: Spool, root: Path, lines: _Lines) -> tuple[Ints, Ints]:
    """The place of every line's first picture in the spool and how many it has, [T] each.

    The pictures stand there folder by folder, so that each is listed once, whatever the order of the lines.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, folder in enumerate(lines.folders):
        rows[folder].append(row)
    listed = ((folder, names) for folder in rows for names in _beginning(root, folder, lines, rows[folder]))
    start, lengths = len(spool), append_sorted(spool, root, listed, PICTURE, EXAMPLE, FRAME)[1]
    places = np.argsort([row for own in rows.values() for row in own])
    return (start + np.cumsum(lengths) - lengths)[places], lengths[places]


def _beginning(root: Path, folder: str, lines: _Lines, rows: list[int]) -> list[pa.Array]:
    """The pictures of some lines of one folder."""
    names = sorted(picture_names(root / folder)) if (root / folder).is_dir() else []
    return _divide(names, [lines.beginnings[row] for row in rows])


def _divide(names: list[str], beginnings: list[str]) -> list[pa.Array]:
    """The names of each beginning; the names must be sorted."""
    owner: Ints = np.full(len(names), -1)
    for place in sorted(range(len(beginnings)), key=lambda place: len(beginnings[place])):
        start = bisect_left(names, beginnings[place])
        owner[start : bisect_left(names, beginnings[place] + LAST)] = place
    order = np.argsort(owner, kind="stable")
    array = pa.array(names, pa.string()).take(pa.array(order))
    edges = np.searchsorted(owner[order], np.arange(len(beginnings) + 1)).tolist()
    return [array.slice(start, end - start) for start, end in pairwise(edges)]


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, val, test = (table[table["split"] == split] for split in ("train", "validation", "test"))
    alone = unmatched(test[test["query"]], test)
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        "validation identities": val["identity"].nunique(),
        "validation tracklets": len(val),
        "validation queries": val["query"].sum(),
        "test identities": test["identity"].nunique(),
        "test tracklets of identity 0 or more": (test["identity"] >= 0).sum(),
        "highest identity of the test": test["identity"].max(),
        "test pictures": test["length"].sum(),
        "test pictures of the shortest tracklet": test["length"].min(),
        "test pictures of the longest tracklet": test["length"].max(),
        "test cameras": test["camera"].nunique(),
        "queries": test["query"].sum(),
        "queries without a match": len(alone),
        "queries without a match in rows 3226, 3274, 5606 and 10681": alone["row"].isin(_UNMATCHED).sum(),
    }
