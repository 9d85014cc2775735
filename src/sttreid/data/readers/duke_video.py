"""DukeMTMC-VideoReID (Wu et al., Exploit the Unknown Gradually, CVPR 2018); withdrawn by its authors in 2019.

::

    {train,query,gallery}/0001/0099/0001_C6_F0099_X30823.jpg     identity, tracklet; camera, index, frame
    {train,query,gallery}_split/...                              folder names of the older archive
    .../0001C6F0099X30823.jpg                                    file names of the older archive

D replaces X in the images of distractors. F counts the images of the tracklet, X the frames of the video; a
gap in F is reported, as the copy may be incomplete, but is not an error.
Every query is in the gallery too, in a separate folder: the evaluation ignores pairs of the same identity
and camera, and thus a query's copy.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.data.folder_listing import folder_numbers, locate, subfolders
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import pattern_groups
from sttreid.data.published.official_counts import expect_none
from sttreid.data.published.published_set import DISTRACTOR, FRAME, PERSON, PublishedSet, assemble
from sttreid.data.published.reorganised_mars import check_not_reorganised
from sttreid.data.published.tracklet_folders import TrackletFolders, read_tracklet_folders
from sttreid.data.registry import NoOptions, Reader, ReadSettings

LANDMARKS: Final = (("train", "query", "gallery"), ("train_split", "query_split", "gallery_split"))
IMAGE: Final = (
    r"^(?P<identity>\d{4})_?C(?P<camera>[1-8])_?F(?P<index>\d{1,18})_?[XD](?P<frame>\d{1,18})(?i:\.jpg)$"
)
EXAMPLE: Final = "0001_C6_F0099_X30823.jpg"
OFFICIAL: Final = {
    "training identities": 702,
    "training tracklets": 2_196,
    "queries": 702,
    "query identities": 702,
    "gallery tracklets": 2_636,
    "gallery tracklets of query identities": 2_228,
    "gallery tracklets of distractors": 408,
    "distractors": 408,
    "cameras": 8,
    "images of the shortest tracklet": 1,
    "images of the longest tracklet": 9_324,
}
_KEY: Final = ["identity", "camera", "first", "length"]  # equal for a query and its copy in the gallery


def read_duke_video(folder: Path, strict: bool = False, scratch: Path | None = None) -> PublishedSet:
    """Read DukeMTMC-VideoReID.

    Args:
        folder: holds ``train``, ``query`` and ``gallery``, or is its parent.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not DukeMTMC-VideoReID; a name does not parse; the images of a tracklet are not all
            of its folder's identity and of one camera; ``strict``, and a count differs.
    """
    root = locate(folder, "duke_video", LANDMARKS)
    check_not_reorganised(root)
    suffix = "" if (root / "train").is_dir() else "_split"
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    tracklets = {
        side: _read_side(buffer, root, root / f"{side}{suffix}") for side in ("train", "query", "gallery")
    }
    parts = {side: _rows(folders, side) for side, folders in tracklets.items()}
    query, gallery = parts["query"], parts["gallery"]
    gallery.loc[~gallery["identity"].isin(query["identity"]), "kind"] = DISTRACTOR
    copies = query.merge(gallery[_KEY].drop_duplicates(), on=_KEY, how="left", indicator="copy")
    empty = [name for side in tracklets.values() for name in side.empty]
    checks = (
        expect_none("folders of tracklets without an image", empty),
        expect_none("queries that are not in the gallery", copies["folder"][copies["copy"] == "left_only"]),
    )
    name = "DukeMTMC-VideoReID"
    published = assemble(name, root, list(parts.values()), buffer, OFFICIAL, _counts, checks, strict)
    return replace(published, remarks=_remarks(list(tracklets.values())))


def _read(folder: Path, options: NoOptions, settings: ReadSettings) -> PublishedSet:  # noqa: ARG001
    return read_duke_video(folder, settings.strict, settings.scratch)


READER = Reader(
    name="duke_video", read=_read, protocol="duke-official", options=NoOptions, landmarks=LANDMARKS
)


def _remarks(sides: Sequence[TrackletFolders]) -> tuple[str, ...]:
    """Gaps in F: no official source says that there are none, so a gap is not a missing image."""
    skipped = np.concatenate([side.count_skipped("index") for side in sides])
    if not skipped.any():
        return ()
    folder = [name for side in sides for name in side.folders][int(np.argmax(skipped > 0))]
    tracklets = f"{np.count_nonzero(skipped):,} tracklets (the first is {folder})"
    return (f"the numbering skips {int(skipped.sum()):,} images in {tracklets}",)


def _read_side(buffer: DiskBuffer, root: Path, top: Path) -> TrackletFolders:
    folders = [tracklet for identity in subfolders(top) for tracklet in subfolders(identity)]
    return read_tracklet_folders(buffer, root, folders, IMAGE, EXAMPLE, "index")


def _rows(tracklets: TrackletFolders, side: str) -> pd.DataFrame:
    identity = folder_numbers(tracklets.root, tracklets.folders, -2)
    tracklets.check_number("identity", identity)
    rows = pd.DataFrame({"identity": identity, "camera": tracklets.shared_number("camera")})
    rows["start"], rows["length"] = tracklets.starts, tracklets.lengths
    rows["split"], rows["kind"] = "train" if side == "train" else "test", PERSON
    rows["query"], rows["gallery"] = side == "query", side == "gallery"
    rows["folder"], rows["missing"] = tracklets.folders, 0
    rows["first"] = tracklets.first_number(FRAME)
    return rows


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, query = table[table["split"] == "train"], table[table["query"]]
    gallery = table[table["gallery"]]
    distractors = gallery[gallery["kind"] == DISTRACTOR]
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        "queries": len(query),
        "query identities": query["identity"].nunique(),
        "gallery tracklets": len(gallery),
        "gallery tracklets of query identities": len(gallery) - len(distractors),
        "gallery tracklets of distractors": len(distractors),
        "distractors": distractors["identity"].nunique(),
        "cameras": table["camera"].nunique(),
        "images of the shortest tracklet": table["length"].min(),
        "images of the longest tracklet": table["length"].max(),
    }
