"""MARS (Zheng et al., MARS: A Video Benchmark for Large-Scale Person Re-Identification, ECCV 2016).

::

    bbox_train/0001/0001C1T0001F001.jpg      identity, camera, tracklet of the identity, frame
    bbox_test/{00-1,0000,0002,...}/          00-1: junk, 0000: distractors
    info/{train,test}_name.txt               every picture's name, a line each
    info/tracks_{train,test}_info.mat        [start, end, identity, camera]; lines from 1, both included
    info/query_IDX.mat                       rows of tracks_test_info, from 1

All test tracklets answer, the queries among them: without those, 140 queries would have no match.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.data.readers.checks import Check, absent, unmatched
from sttreid.data.readers.folders import check_text, line_blocks, locate, picture_names, subfolders
from sttreid.data.readers.matlab import read_queries, read_table
from sttreid.data.readers.names import Ints, differing, firsts, groups, owners, parse
from sttreid.data.readers.spool import BLOCK, Spool, blocks
from sttreid.data.readers.tracklets import DISTRACTOR, FRAME, JUNK, PERSON, Tracklets, assemble
from sttreid.runtime.errors import InputError

PICTURE: Final = r"^(?P<identity>00-1|\d{4})C(?P<camera>[1-6])T(?P<track>\d{4})F(?P<frame>\d{3,18})\.jpg$"
EXAMPLE: Final = "0001C1T0001F001.jpg"
OFFICIAL: Final = {
    "training identities": 625,
    "training tracklets": 8_298,
    "training tracklets of camera 1": 1_816,
    "training tracklets of camera 2": 1_957,
    "training tracklets of camera 3": 1_321,
    "training tracklets of camera 4": 750,
    "training tracklets of camera 5": 1_880,
    "training tracklets of camera 6": 574,
    "training pictures": 509_914,
    "training pictures of the shortest tracklet": 5,
    "training pictures of the longest tracklet": 900,
    "training pictures of the median tracklet": 36,
    "training identities seen by one camera": 6,
    "training identities with fewer than 4 tracklets": 45,
    "test tracklets": 12_180,
    "test pictures": 681_089,
    "test tracklets of junk": 870,
    "test tracklets of distractors": 3_248,
    "test tracklets of persons": 8_062,
    "test persons": 634,
    "test tracklets shorter than 4 pictures": 3,
    "test tracklets shorter than 8 pictures": 209,
    "queries": 1_980,
    "identities asked for": 626,
    "queries without a match": 0,
    "queries without a match if queries did not answer": 140,
}
GONE: Final = "gone"
_KINDS: Final = {-1: JUNK, 0: DISTRACTOR}


def read_mars(folder: Path, strict: bool = False, scratch: Path | None = None) -> Tracklets:
    """Read MARS; ``folder`` is ``MARS`` or the one above it.

    Args:
        folder: of the data set.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no MARS; a list or an index is missing, cannot be read or points outside of what it
            indexes; a tracklet's pictures are not all of its identity and camera; ``strict``, and a count is
            off or a picture is missing.
    """
    root = locate(folder, "mars")
    spool = Spool(groups(PICTURE), scratch)
    train, checks = _part(spool, root, "train", scratch)
    test, found = _part(spool, root, "test", scratch)
    test["query"] = read_queries(root / "info" / "query_IDX.mat", "query_IDX", len(test))
    return assemble("MARS", root, [train, test], spool, OFFICIAL, _counts, [*checks, *found], strict)


def _part(spool: Spool, root: Path, side: str, scratch: Path | None) -> tuple[pd.DataFrame, list[Check]]:
    """The tracklets of one side."""
    path = root / "info" / f"{side}_name.txt"
    lines = Spool((*spool.fields, GONE), scratch)
    _read_list(lines, path, root / f"bbox_{side}")
    index = root / "info" / f"tracks_{side}_info.mat"
    spans = read_table(index, f"track_{side}_info", 4)
    rows = _rows(spans, side).assign(length=_lengths(index, spans, path, len(lines)))
    rows["start"] = len(spool) + rows["length"].cumsum() - rows["length"]
    rows["missing"], mixed = _collect(spool, lines, index, spans)
    return rows, [
        absent(f"lines of {path.name} without a picture", _lost(lines)),
        absent(f"lines of {path.name} in several tracklets", _shared(spans)),
        absent(f"rows of {index.name} with several tracks", [f"row {row + 1}" for row in mixed]),
    ]


def _read_list(lines: Spool, path: Path, top: Path) -> None:
    """Spool the lines of a list and whether each picture is gone from its identity's folder in ``top``."""
    folders = subfolders(top)
    for folder in folders:
        check_text(top, folder.name)
    known = {folder.name for folder in folders}
    for names in line_blocks(path):
        fields = parse(names, PICTURE, lambda line: f"{path}:{len(lines) + line + 1}", EXAMPLE)
        lines.append(names, {**fields, GONE: ~_present(top, known, names)})


def _present(top: Path, known: set[str], names: pa.Array) -> NDArray[np.bool_]:
    """Whether each picture lies in its identity's folder; memory holds a part of a folder, however large."""
    coded = names.dictionary_encode()
    found = np.zeros(len(coded.dictionary), bool)
    listed = _listed(top, known.intersection(pc.utf8_slice_codeunits(names, 0, 4).unique().to_pylist()))
    while part := list(islice(listed, BLOCK)):
        place = pc.index_in(pa.array(part), value_set=coded.dictionary)
        found[place.drop_null()] = True
    present: NDArray[np.bool_] = found[coded.indices]
    return present


def _listed(top: Path, identities: set[str]) -> Iterator[str]:
    """The pictures in some identities' folders whose names begin as theirs; others lie in the wrong place."""
    return (name for own in identities for name in picture_names(top / own) if name.startswith(own))


def _collect(spool: Spool, lines: Spool, index: Path, spans: Ints) -> tuple[Ints, Ints]:
    """Put the pictures of every row of the index into the spool, sorted by frame.

    Returns:
        How many pictures of each row are gone, [T], and the rows that hold several tracks.
    """
    missing, mixed = np.zeros(len(spans), np.int64), [np.empty(0, np.int64)]
    starts, lengths = spans[:, 0] - 1, spans[:, 1] - spans[:, 0] + 1
    for own in blocks(lengths):
        counts = lengths[own]
        names, fields = _sorted(lines, starts[own], counts)
        _check_owner(index, own.start, names, counts, fields["identity"], spans[own, 2], "identity")
        _check_owner(index, own.start, names, counts, fields["camera"], spans[own, 3], "camera")
        track, owner = fields["track"], owners(counts)
        mixed.append(own.start + np.unique(owner[differing(track, counts, firsts(track, counts))]))
        missing[own] = np.bincount(owner[fields[GONE] > 0], minlength=len(counts))
        spool.append(names, fields)
    return missing, np.concatenate(mixed)


def _check_owner(
    path: Path, row: int, names: pa.Array, lengths: Ints, found: Ints, expected: Ints, what: str
) -> None:
    """Raises InputError unless all pictures of some rows, from ``row`` on, have the number of their row."""
    wrong = differing(found, lengths, expected)
    if len(wrong):
        own = int(owners(lengths)[wrong[0]])
        raise InputError(
            f"{path}: row {row + own + 1}: every picture must be of {what} {expected[own]},"
            f" got {names[int(wrong[0])].as_py()}"
        )


def _sorted(lines: Spool, starts: Ints, lengths: Ints) -> tuple[pa.Array, dict[str, Ints]]:
    """Names and numbers of some tracklets, tracklet after tracklet, each by ascending frame."""
    fields = {field: lines.numbers(field, starts, lengths) for field in lines.fields}
    order = np.lexsort((fields[FRAME], owners(lengths)))
    names = lines.names(starts, lengths).take(pa.array(order))
    return names, {field: numbers[order] for field, numbers in fields.items()}


def _lost(lines: Spool) -> Iterator[str]:
    """The lines whose pictures are gone."""
    for start in range(0, len(lines), BLOCK):
        block = np.array([start]), np.array([min(BLOCK, len(lines) - start)])
        gone = lines.numbers(GONE, *block) > 0
        if gone.any():
            yield from lines.names(*block).filter(pa.array(gone)).to_pylist()


def _shared(spans: Ints) -> Iterator[str]:
    """The lines that lie in several tracklets, from the ends of the tracklets alone."""
    edges = np.concatenate([spans[:, 0], spans[:, 1] + 1])
    order = np.argsort(edges, kind="stable")
    held = np.cumsum(np.repeat([1, -1], len(spans))[order])  # by how many tracklets, behind each edge
    for place in np.flatnonzero(held > 1).tolist():
        yield from (f"line {line}" for line in range(*edges[order[place : place + 2]].tolist()))


def _rows(spans: Ints, side: str) -> pd.DataFrame:
    rows = pd.DataFrame({"identity": spans[:, 2], "camera": spans[:, 3], "split": side})
    rows["query"], rows["gallery"] = False, side == "test"
    rows["kind"] = rows["identity"].map(_KINDS).fillna(PERSON)
    rows["folder"] = [f"bbox_{side}/{'00-1' if number < 0 else f'{number:04d}'}" for number in spans[:, 2]]
    return rows


def _lengths(path: Path, spans: Ints, lines: Path, count: int) -> Ints:
    """Pictures of every tracklet, whose lines must exist."""
    start, end = spans[:, 0], spans[:, 1]
    broken = (start < 1) | (end < start) | (end > count)
    if broken.any():
        row = int(broken.argmax())
        raise InputError(
            f"{path}: row {row + 1}: start and end must be lines of {lines}, 1 to {count},"
            f" got {start[row]} to {end[row]}"
        )
    found: Ints = end - start + 1
    return found


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    persons, queries = test[test["kind"] == PERSON], test[test["query"]]
    own = train.groupby("identity")["camera"]
    cameras = train["camera"].value_counts()
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        **{f"training tracklets of camera {camera}": cameras.get(camera, 0) for camera in range(1, 7)},
        "training pictures": train["length"].sum(),
        "training pictures of the shortest tracklet": train["length"].min(),
        "training pictures of the longest tracklet": train["length"].max(),
        "training pictures of the median tracklet": train["length"].median(),
        "training identities seen by one camera": (own.min() == own.max()).sum(),
        "training identities with fewer than 4 tracklets": (own.size() < 4).sum(),
        "test tracklets": len(test),
        "test pictures": test["length"].sum(),
        "test tracklets of junk": (test["kind"] == JUNK).sum(),
        "test tracklets of distractors": (test["kind"] == DISTRACTOR).sum(),
        "test tracklets of persons": len(persons),
        "test persons": persons["identity"].nunique(),
        "test tracklets shorter than 4 pictures": (test["length"] < 4).sum(),
        "test tracklets shorter than 8 pictures": (test["length"] < 8).sum(),
        "queries": len(queries),
        "identities asked for": queries["identity"].nunique(),
        "queries without a match": len(unmatched(queries, persons)),
        "queries without a match if queries did not answer": len(
            unmatched(queries, persons[~persons["query"]])
        ),
    }
