"""MARS (Zheng et al., MARS: A Video Benchmark for Large-Scale Person Re-Identification, ECCV 2016).

::

    bbox_train/0001/0001C1T0001F001.jpg      identity, camera, tracklet of the identity, frame
    bbox_test/{00-1,0000,0002,...}/          00-1: junk, 0000: distractors
    info/{train,test}_name.txt               the name of every image, one per line
    info/tracks_{train,test}_info.mat        [start, end, identity, camera]; lines from 1, both included
    info/query_IDX.mat                       rows of tracks_test_info, from 1

All test tracklets are in the gallery, the queries included: without the queries, 140 queries have no match.
The reorganised copy is read too (:mod:`sttreid.data.published.reorganised_mars`).
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.data.folder_listing import check_utf8, image_names, locate, subfolders
from sttreid.data.published import disk_buffer
from sttreid.data.published.disk_buffer import DiskBuffer, blocks
from sttreid.data.published.file_names import (
    Ints,
    find_differing,
    first_values,
    parse_names,
    pattern_groups,
    tracklet_index,
)
from sttreid.data.published.matlab import read_queries, read_table
from sttreid.data.published.official_counts import CountCheck, expect_none, unmatched_queries
from sttreid.data.published.published_set import DISTRACTOR, FRAME, JUNK, PERSON, PublishedSet, assemble
from sttreid.data.published.reorganised_mars import find_reorganised, read_reorganised
from sttreid.data.published.text_lists import line_blocks
from sttreid.data.registry import NoOptions, Reader, ReadSettings
from sttreid.runtime.errors import InputError

LANDMARKS: Final = (("bbox_train", "bbox_test", "info"),)
IMAGE: Final = r"^(?P<identity>00-1|\d{4})C(?P<camera>[1-6])T(?P<track>\d{4})F(?P<frame>\d{3,18})\.jpg$"
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
    "training images": 509_914,
    "training images of the shortest tracklet": 5,
    "training images of the longest tracklet": 900,
    "training images of the median tracklet": 36,
    "training identities of a single camera": 6,
    "training identities with fewer than 4 tracklets": 45,
    "test tracklets": 12_180,
    "test images": 681_089,
    "test tracklets of junk": 870,
    "test tracklets of distractors": 3_248,
    "test tracklets of persons": 8_062,
    "test persons": 634,
    "test tracklets shorter than 4 images": 3,
    "test tracklets shorter than 8 images": 209,
    "queries": 1_980,
    "query identities": 626,
    "queries without a match": 0,
    "queries without a match in a gallery without queries": 140,
}
MISSING: Final = "missing"
_KINDS: Final = {-1: JUNK, 0: DISTRACTOR}


def read_mars(folder: Path, strict: bool = False, scratch: Path | None = None) -> PublishedSet:
    """Read MARS.

    Args:
        folder: ``MARS`` or its parent.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not MARS; a list or an index is missing, cannot be read
            or points outside of what it indexes; the images of a tracklet are not all of its identity and
            camera; ``strict``, and a count differs or an image is missing.
    """
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    if (copy := find_reorganised(folder)) is not None:
        read = read_reorganised(buffer, copy, IMAGE, EXAMPLE)
        published = assemble("MARS", copy, read.parts, buffer, OFFICIAL, _counts, read.checks, strict)
        return replace(published, remarks=read.remarks)
    root = locate(folder, "mars", LANDMARKS)
    train, train_checks = _read_side(buffer, root, "train", scratch)
    test, test_checks = _read_side(buffer, root, "test", scratch)
    test["query"] = read_queries(root / "info" / "query_IDX.mat", "query_IDX", len(test))
    checks = [*train_checks, *test_checks]
    return assemble("MARS", root, [train, test], buffer, OFFICIAL, _counts, checks, strict)


def _read(folder: Path, options: NoOptions, settings: ReadSettings) -> PublishedSet:  # noqa: ARG001
    return read_mars(folder, settings.strict, settings.scratch)


READER = Reader(name="mars", read=_read, protocol="mars-official", options=NoOptions, landmarks=LANDMARKS)


def _read_side(
    buffer: DiskBuffer, root: Path, side: str, scratch: Path | None
) -> tuple[pd.DataFrame, list[CountCheck]]:
    """The tracklets of ``train`` or ``test``."""
    path = root / "info" / f"{side}_name.txt"
    lines = DiskBuffer((*buffer.fields, MISSING), scratch)
    _read_list(lines, path, root / f"bbox_{side}")
    index = root / "info" / f"tracks_{side}_info.mat"
    spans = read_table(index, f"track_{side}_info", 4)
    rows = _rows(spans, side).assign(length=_lengths(index, spans, path, len(lines)))
    rows["start"] = len(buffer) + rows["length"].cumsum() - rows["length"]
    rows["missing"], mixed = _append_images(buffer, lines, index, spans)
    return rows, [
        expect_none(f"lines of {path.name} without an image", _missing_images(lines)),
        expect_none(f"lines of {path.name} in several tracklets", _shared_lines(spans)),
        expect_none(f"rows of {index.name} with several tracks", [f"row {row + 1}" for row in mixed]),
    ]


def _read_list(lines: DiskBuffer, path: Path, top: Path) -> None:
    """Append the lines of a list, and whether each image is missing in its identity's folder in ``top``."""
    folders = subfolders(top)
    for folder in folders:
        check_utf8(top, folder.name)
    identities = {folder.name for folder in folders}
    for names in line_blocks(path):
        fields = parse_names(names, IMAGE, lambda line: f"{path}:{len(lines) + line + 1}", EXAMPLE)
        lines.append(names, {**fields, MISSING: ~_exists(top, identities, names)})


def _exists(top: Path, identities: set[str], names: pa.Array) -> NDArray[np.bool_]:
    """Whether each image is in its identity's folder; memory holds a part of a folder, however large."""
    coded = names.dictionary_encode()
    exists = np.zeros(len(coded.dictionary), bool)
    wanted = identities.intersection(pc.utf8_slice_codeunits(names, 0, 4).unique().to_pylist())
    listing = _list_images(top, wanted)
    while block := list(islice(listing, disk_buffer.BLOCK)):
        codes = pc.index_in(pa.array(block), value_set=coded.dictionary)
        exists[codes.drop_null()] = True
    by_name: NDArray[np.bool_] = exists[coded.indices]
    return by_name


def _list_images(top: Path, identities: set[str]) -> Iterator[str]:
    """The images in some identities' folders with names of that identity; others are in the wrong folder."""
    return (name for folder in identities for name in image_names(top / folder) if name.startswith(folder))


def _append_images(buffer: DiskBuffer, lines: DiskBuffer, index: Path, spans: Ints) -> tuple[Ints, Ints]:
    """Append the images of every row of the index to the buffer, sorted by frame.

    Returns:
        Number of missing images of each row, [T], and the rows that hold several tracks.
    """
    missing, mixed = np.zeros(len(spans), np.int64), [np.empty(0, np.int64)]
    starts, lengths = spans[:, 0] - 1, spans[:, 1] - spans[:, 0] + 1
    for block in blocks(lengths):
        counts = lengths[block]
        names, fields = _sorted_images(lines, starts[block], counts)
        for column, field in ((2, "identity"), (3, "camera")):
            _check_rows(index, block.start, names, counts, fields[field], spans[block, column], field)
        track, tracklet = fields["track"], tracklet_index(counts)
        wrong = find_differing(track, counts, first_values(track, counts))
        mixed.append(block.start + np.unique(tracklet[wrong]))
        missing[block] = np.bincount(tracklet[fields[MISSING] > 0], minlength=len(counts))
        buffer.append(names, fields)
    return missing, np.concatenate(mixed)


def _check_rows(
    path: Path, first: int, names: pa.Array, lengths: Ints, numbers: Ints, expected: Ints, what: str
) -> None:
    """Raise InputError unless all images of the rows from ``first`` on have their row's number."""
    wrong = find_differing(numbers, lengths, expected)
    if len(wrong):
        row = int(tracklet_index(lengths)[wrong[0]])
        raise InputError(
            f"{path}: row {first + row + 1}: every image must be of {what} {expected[row]},"
            f" got {names[int(wrong[0])].as_py()}"
        )


def _sorted_images(lines: DiskBuffer, starts: Ints, lengths: Ints) -> tuple[pa.Array, dict[str, Ints]]:
    """Names and numbers of some tracklets, one tracklet after the other, each by ascending frame."""
    fields = {field: lines.numbers(field, starts, lengths) for field in lines.fields}
    order = np.lexsort((fields[FRAME], tracklet_index(lengths)))
    names = lines.names(starts, lengths).take(pa.array(order))
    return names, {field: numbers[order] for field, numbers in fields.items()}


def _missing_images(lines: DiskBuffer) -> Iterator[str]:
    """The lines without an image file."""
    for start in range(0, len(lines), disk_buffer.BLOCK):
        block = np.array([start]), np.array([min(disk_buffer.BLOCK, len(lines) - start)])
        missing = lines.numbers(MISSING, *block) > 0
        if missing.any():
            yield from lines.names(*block).filter(pa.array(missing)).to_pylist()


def _shared_lines(spans: Ints) -> Iterator[str]:
    """The lines of several tracklets, from the ends of the tracklets alone."""
    edges = np.concatenate([spans[:, 0], spans[:, 1] + 1])
    order = np.argsort(edges, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(spans))[order])  # tracklets that hold the lines after each edge
    for index in np.flatnonzero(depth > 1).tolist():
        yield from (f"line {line}" for line in range(*edges[order[index : index + 2]].tolist()))


def _rows(spans: Ints, side: str) -> pd.DataFrame:
    rows = pd.DataFrame({"identity": spans[:, 2], "camera": spans[:, 3], "split": side})
    rows["query"], rows["gallery"] = False, side == "test"
    rows["kind"] = rows["identity"].map(_KINDS).fillna(PERSON)
    rows["folder"] = [f"bbox_{side}/{'00-1' if number < 0 else f'{number:04d}'}" for number in spans[:, 2]]
    return rows


def _lengths(path: Path, spans: Ints, lines: Path, count: int) -> Ints:
    """Images of every tracklet, whose lines must exist."""
    start, end = spans[:, 0], spans[:, 1]
    broken = (start < 1) | (end < start) | (end > count)
    if broken.any():
        row = int(broken.argmax())
        raise InputError(
            f"{path}: row {row + 1}: start and end must be lines of {lines}, 1 to {count},"
            f" got {start[row]} to {end[row]}"
        )
    lengths: Ints = end - start + 1
    return lengths


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    persons, queries = test[test["kind"] == PERSON], test[test["query"]]
    identities = train.groupby("identity")["camera"]
    cameras = train["camera"].value_counts()
    without_queries = unmatched_queries(queries, persons[~persons["query"]])
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        **{f"training tracklets of camera {camera}": cameras.get(camera, 0) for camera in range(1, 7)},
        "training images": train["length"].sum(),
        "training images of the shortest tracklet": train["length"].min(),
        "training images of the longest tracklet": train["length"].max(),
        "training images of the median tracklet": train["length"].median(),
        "training identities of a single camera": (identities.min() == identities.max()).sum(),
        "training identities with fewer than 4 tracklets": (identities.size() < 4).sum(),
        "test tracklets": len(test),
        "test images": test["length"].sum(),
        "test tracklets of junk": (test["kind"] == JUNK).sum(),
        "test tracklets of distractors": (test["kind"] == DISTRACTOR).sum(),
        "test tracklets of persons": len(persons),
        "test persons": persons["identity"].nunique(),
        "test tracklets shorter than 4 images": (test["length"] < 4).sum(),
        "test tracklets shorter than 8 images": (test["length"] < 8).sum(),
        "queries": len(queries),
        "query identities": queries["identity"].nunique(),
        "queries without a match": len(unmatched_queries(queries, persons)),
        "queries without a match in a gallery without queries": len(without_queries),
    }
