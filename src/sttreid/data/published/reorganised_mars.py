"""The reorganised MARS that circulates since Wu et al., Exploit the Unknown Gradually, CVPR 2018.

It has the folders of the older DukeMTMC-VideoReID and MARS's file names, and neither lists nor indices::

    {train,query,gallery}_split/0001/0001/0001C1T0001F001.jpg     identity, tracklet of the identity

The code of its authors numbers identities anew (training 1 to 625, test from 999) and takes camera and
identity from these names, 999 as junk and 1000 as distractors. Images may still be named by MARS's own
numbers; 00-1 is then junk and 0000 distractors. Queries lack in the gallery, or are copied into it; they are
in MARS's, so they are put back once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from sttreid.data.folder_listing import image_names, subfolders
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.official_counts import CountCheck, expect_none
from sttreid.data.published.published_set import DISTRACTOR, FRAME, JUNK, PERSON
from sttreid.data.published.tracklet_folders import TrackletFolders, read_tracklet_folders
from sttreid.runtime.errors import InputError

SIDES: Final = ("train", "query", "gallery")
FOLDERS: Final = tuple(f"{side}_split" for side in SIDES)
LAST_TRAINING: Final = 625  # identity, where they are numbered anew
RENUMBERED: Final = {999: JUNK, 1000: DISTRACTOR}
NUMBERS: Final = {JUNK: -1, DISTRACTOR: 0}  # identities in MARS
_NAME: Final = re.compile(r"(?:00-1|\d{4})C\d+T\d+F\d+\.jpg", re.ASCII | re.IGNORECASE)
_PROBED: Final = 50  # folders of tracklets
_KEY: Final = ["identity", "camera", "track", "first", "length"]  # of a query and its copy in the gallery


@dataclass(frozen=True, eq=False)
class ReorganisedMars:
    """Training tracklets, test tracklets with the queries among them, checks, and remarks."""

    parts: tuple[pd.DataFrame, pd.DataFrame]
    checks: tuple[CountCheck, ...]
    remarks: tuple[str, ...]


def find_reorganised(folder: Path) -> Path | None:
    """The root of the reorganised MARS: the folder or its only such subfolder; None: it is not there."""
    candidates = (folder, *(subfolders(folder) if folder.is_dir() else ()))
    return next((root for root in candidates if _is_reorganised(root)), None)


def check_not_reorganised(folder: Path) -> None:
    """Raise InputError if a folder of DukeMTMC-VideoReID's layout is the reorganised MARS."""
    if (root := find_reorganised(folder)) is not None:
        raise InputError(
            f"{root}: images must have the names of DukeMTMC-VideoReID, but this is the reorganised MARS (use"
            f" the reader mars), got {_first_image(root)}"
        )


def read_reorganised(buffer: DiskBuffer, root: Path, pattern: str, example: str) -> ReorganisedMars:
    """Read all tracklets; their images are appended to the buffer.

    Args:
        buffer: has the groups of the pattern as fields.
        root: of the copy.
        pattern: of MARS's image names.
        example: a name that fits.

    Raises:
        InputError: a name does not parse; the images of a tracklet are not all of one identity and camera.
    """
    read = {side: _read_side(buffer, root, side, pattern, example) for side in SIDES}
    renumbered = _is_renumbered(read)
    rows = {side: _rows(tracklets, side, renumbered) for side, tracklets in read.items()}
    keys = pd.MultiIndex.from_frame(rows["query"][_KEY])
    copied = pd.MultiIndex.from_frame(rows["gallery"][_KEY]).isin(keys)
    test = pd.concat([rows["query"], rows["gallery"][~copied]], ignore_index=True)
    empty = [name for tracklets in read.values() for name in tracklets.empty]
    numbering = "numbered anew, 999 as junk, 1000 as distractors" if renumbered else "those of MARS"
    remark = (
        f"this is the reorganised copy: its identities are {numbering}; {len(rows['query']):,} queries were"
        f" put into the gallery ({copied.sum():,} had a copy there); the order is not the official one"
    )
    check = expect_none("folders of tracklets without an image", empty)
    return ReorganisedMars((rows["train"], test), (check,), (remark,))


def _is_reorganised(root: Path) -> bool:
    return all((root / name).is_dir() for name in FOLDERS) and _first_image(root) is not None


def _first_image(root: Path) -> str | None:
    """An image with a name of MARS."""
    tracklets = (tracklet for one in subfolders(root / FOLDERS[0]) for tracklet in subfolders(one))
    for tracklet in islice(tracklets, _PROBED):
        for name in image_names(tracklet):
            return name if _NAME.fullmatch(name) else None
    return None


def _read_side(buffer: DiskBuffer, root: Path, side: str, pattern: str, example: str) -> TrackletFolders:
    top = root / f"{side}_split"
    folders = [tracklet for identity in subfolders(top) for tracklet in subfolders(identity)]
    return read_tracklet_folders(buffer, root, folders, pattern, example, FRAME)


def _is_renumbered(read: dict[str, TrackletFolders]) -> bool:
    """Whether the folders have the numbers of the copy's authors; MARS's own training numbers go beyond."""
    numbers = {side: _folder_numbers(tracklets.folders) for side, tracklets in read.items()}
    test = numbers["query"] + numbers["gallery"]
    known = None not in numbers["train"] and None not in test
    return (
        known
        and all(number <= LAST_TRAINING for number in numbers["train"] if number is not None)
        and all(number >= min(RENUMBERED) for number in test if number is not None)
    )


def _folder_numbers(folders: Sequence[str]) -> list[int | None]:
    """The identity in each path; None where it is no number."""
    parts = [PurePosixPath(folder).parts[-2] for folder in folders]
    return [int(part) if re.fullmatch(r"\d{1,9}", part, re.ASCII) else None for part in parts]


def _rows(tracklets: TrackletFolders, side: str, renumbered: bool) -> pd.DataFrame:
    rows = pd.DataFrame({
        "identity": tracklets.shared_number("identity"),
        "camera": tracklets.shared_number("camera"),
        "start": tracklets.starts,
        "length": tracklets.lengths,
        "track": tracklets.first_number("track"),
        "first": tracklets.first_number(FRAME),
        "folder": tracklets.folders,
    })  # fmt: skip
    rows["kind"] = rows["identity"].map({-1: JUNK, 0: DISTRACTOR})
    if renumbered:
        of_folder = pd.Series(_folder_numbers(tracklets.folders), dtype=object).map(RENUMBERED)
        rows["kind"] = rows["kind"].fillna(of_folder)
    rows["kind"] = rows["kind"].fillna(PERSON)
    rows["identity"] = rows["kind"].map(NUMBERS).fillna(rows["identity"]).astype(np.int64)
    rows["split"], rows["missing"] = "train" if side == "train" else "test", 0
    rows["query"], rows["gallery"] = side == "query", side != "train"
    return rows
