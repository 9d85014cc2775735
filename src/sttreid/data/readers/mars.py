"""MARS (Zheng et al., MARS: A Video Benchmark for Large-Scale Person Re-Identification, ECCV 2016).

::

    bbox_train/0001/0001C1T0001F001.jpg      identity, camera, tracklet of the identity, frame
    bbox_test/{00-1,0000,0002,...}/          00-1: junk, 0000: distractors
    info/{train,test}_name.txt               every picture's name, a line each
    info/tracks_{train,test}_info.mat        [start, end, identity, camera]; lines from 1, both included
    info/query_IDX.mat                       rows of tracks_test_info, from 1

All test tracklets answer, the queries among them: without those, 140 queries would have no match.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.data.readers.checks import Check, absent, unmatched
from sttreid.data.readers.folders import locate, read_lines, subfolders
from sttreid.data.readers.matlab import read_queries, read_table
from sttreid.data.readers.names import Ints, differing, firsts, owners, parse, ranges
from sttreid.data.readers.tracklets import DISTRACTOR, JUNK, PERSON, Part, Tracklets, assemble
from sttreid.data.readers.trees import list_pictures
from sttreid.errors import InputError

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
_KINDS: Final = {-1: JUNK, 0: DISTRACTOR}


def read_mars(folder: Path, strict: bool = False) -> Tracklets:
    """Read MARS; ``folder`` is ``MARS`` or the one above it.

    Raises:
        InputError: it is no MARS; a list or an index is missing, cannot be read or points outside of what it
            indexes; a tracklet's pictures are not all of its identity and camera; ``strict``, and a count is
            off or a picture is missing.
    """
    root = locate(folder, "mars")
    train, checks = _part(root, "train")
    test, found = _part(root, "test")
    test.rows["query"] = read_queries(root / "info" / "query_IDX.mat", "query_IDX", len(test.rows))
    return assemble("MARS", root, [train, test], OFFICIAL, _counts, [*checks, *found], strict)


def _part(root: Path, side: str) -> tuple[Part, list[Check]]:
    """The tracklets of one side."""
    path = root / "info" / f"{side}_name.txt"
    names = read_lines(path)
    fields = parse(names, PICTURE, lambda line: f"{path}:{line + 1}", EXAMPLE)
    identity, camera, track, frame = (fields[key] for key in ("identity", "camera", "track", "frame"))
    index = root / "info" / f"tracks_{side}_info.mat"
    spans = read_table(index, f"track_{side}_info", 4)
    lengths = _lengths(index, spans, path, len(names))
    picked = _sorted(spans[:, 0] - 1, lengths, frame)
    _check_owner(index, names, picked, lengths, identity[picked], spans[:, 2], "identity")
    _check_owner(index, names, picked, lengths, camera[picked], spans[:, 3], "camera")
    gone = ~_present(root / f"bbox_{side}", names)
    mixed = owners(lengths)[differing(track[picked], lengths, firsts(track[picked], lengths))]
    shared = np.flatnonzero(np.bincount(picked, minlength=len(names)) > 1)
    rows = _rows(spans, side).assign(length=lengths)
    rows["missing"] = np.bincount(owners(lengths)[gone[picked]], minlength=len(lengths))
    return Part(rows, names.take(pa.array(picked)), frame[picked]), [
        absent(f"lines of {path.name} without a picture", names.filter(pa.array(gone)).to_pylist()),
        absent(f"lines of {path.name} in several tracklets", [f"line {line + 1}" for line in shared]),
        absent(f"rows of {index.name} with several tracks", [f"row {row + 1}" for row in np.unique(mixed)]),
    ]


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


def _sorted(starts: Ints, lengths: Ints, frames: Ints) -> Ints:
    """The lines of all tracklets, tracklet after tracklet, each by ascending frame."""
    picked = ranges(starts, lengths)
    return picked[np.lexsort((frames[picked], owners(lengths)))]


def _check_owner(
    path: Path, names: pa.Array, picked: Ints, lengths: Ints, found: Ints, expected: Ints, what: str
) -> None:
    wrong = differing(found, lengths, expected)
    if len(wrong):
        row = int(owners(lengths)[wrong[0]])
        raise InputError(
            f"{path}: row {row + 1}: every picture must be of {what} {expected[row]},"
            f" got {names[int(picked[wrong[0]])].as_py()}"
        )


def _present(folder: Path, names: pa.Array) -> NDArray[np.bool_]:
    """Whether each picture lies in its identity's folder."""
    listing = list_pictures(folder, subfolders(folder))
    parent = pa.array([Path(name).name for name in listing.folders]).take(pa.array(owners(listing.lengths)))
    right = pc.equal(pc.utf8_slice_codeunits(listing.files, 0, 4), parent)
    found: NDArray[np.bool_] = pc.is_in(names, value_set=listing.files.filter(right)).to_numpy(
        zero_copy_only=False
    )
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
