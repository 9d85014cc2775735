"""DukeMTMC-VideoReID (Wu et al., Exploit the Unknown Gradually, CVPR 2018); withdrawn by its authors in 2019.

::

    {train,query,gallery}/0001/0099/0001_C6_F0099_X30823.jpg     identity, tracklet; camera, place, frame
    {train,query,gallery}_split/...                              so named in the older archive
    .../0001C6F0099X30823.jpg                                    the older names

D stands for X in the pictures of distractors. F counts the pictures of the tracklet, X the video's frames; a
hole in F is told, as it may show an incomplete copy, and no error.
Every query stands in the gallery too, as a folder of its own: the rule that leaves out the same identity in
the same camera removes it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.data.readers.checks import absent
from sttreid.data.readers.folders import locate, numbered, subfolders
from sttreid.data.readers.names import groups
from sttreid.data.readers.spool import Spool
from sttreid.data.readers.tracklets import DISTRACTOR, FRAME, PERSON, Tracklets, assemble
from sttreid.data.readers.trees import Tree, read_tree

PICTURE: Final = (
    r"^(?P<identity>\d{4})_?C(?P<camera>[1-8])_?F(?P<place>\d{1,18})_?[XD](?P<frame>\d{1,18})(?i:\.jpg)$"
)
EXAMPLE: Final = "0001_C6_F0099_X30823.jpg"
OFFICIAL: Final = {
    "training identities": 702,
    "training tracklets": 2_196,
    "queries": 702,
    "identities asked for": 702,
    "gallery tracklets": 2_636,
    "gallery tracklets of the identities asked for": 2_228,
    "gallery tracklets of distractors": 408,
    "distractors": 408,
    "cameras": 8,
    "pictures of the shortest tracklet": 1,
    "pictures of the longest tracklet": 9_324,
}
_KEY: Final = ["identity", "camera", "first", "length"]  # a tracklet and its copy agree in these


def read_duke_video(folder: Path, strict: bool = False, scratch: Path | None = None) -> Tracklets:
    """Read DukeMTMC-VideoReID; ``folder`` holds ``train``, ``query`` and ``gallery``, or is the one above it.

    Args:
        folder: of the data set.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no DukeMTMC-VideoReID; a name does not parse; a tracklet's pictures are not all of
            its folder's identity and of one camera; ``strict``, and a count is off.
    """
    root = locate(folder, "duke_video")
    suffix = "" if (root / "train").is_dir() else "_split"
    spool = Spool(groups(PICTURE), scratch)
    trees = {side: _tree(spool, root, root / f"{side}{suffix}") for side in ("train", "query", "gallery")}
    parts = {side: _rows(tree, side) for side, tree in trees.items()}
    query, gallery = parts["query"], parts["gallery"]
    gallery.loc[~gallery["identity"].isin(query["identity"]), "kind"] = DISTRACTOR
    alone = query.merge(gallery[_KEY].drop_duplicates(), on=_KEY, how="left", indicator="found")
    found = (
        absent(
            "folders of tracklets without a picture", [name for tree in trees.values() for name in tree.empty]
        ),
        absent("queries that do not stand in the gallery", alone["folder"][alone["found"] == "left_only"]),
    )
    made = assemble("DukeMTMC-VideoReID", root, list(parts.values()), spool, OFFICIAL, _counts, found, strict)
    return replace(made, remarks=_remarks(list(trees.values())))


def _remarks(trees: Sequence[Tree]) -> tuple[str, ...]:
    """Nothing official says that F counts without a hole, so one is no picture that is missing."""
    holes = np.concatenate([tree.skipped("place") for tree in trees])
    if not holes.any():
        return ()
    folder = [name for tree in trees for name in tree.folders][int(np.argmax(holes > 0))]
    tracklets = f"{np.count_nonzero(holes):,} tracklets (the first is {folder})"
    return (f"the numbering leaves out {int(holes.sum()):,} pictures in {tracklets}",)


def _tree(spool: Spool, root: Path, top: Path) -> Tree:
    folders = [tracklet for identity in subfolders(top) for tracklet in subfolders(identity)]
    return read_tree(spool, root, folders, PICTURE, EXAMPLE, "place")


def _rows(tree: Tree, side: str) -> pd.DataFrame:
    identity = numbered(tree.root, tree.folders, -2)
    tree.must("identity", identity)
    rows = pd.DataFrame({"identity": identity, "camera": tree.one("camera")})
    rows["start"], rows["length"] = tree.starts, tree.lengths
    rows["split"], rows["kind"] = "train" if side == "train" else "test", PERSON
    rows["query"], rows["gallery"] = side == "query", side == "gallery"
    rows["folder"], rows["missing"] = tree.folders, 0
    rows["first"] = tree.first(FRAME)
    return rows


def _counts(table: pd.DataFrame) -> dict[str, int]:
    train, query = table[table["split"] == "train"], table[table["query"]]
    gallery = table[table["gallery"]]
    distractors = gallery[gallery["kind"] == DISTRACTOR]
    return {
        "training identities": train["identity"].nunique(),
        "training tracklets": len(train),
        "queries": len(query),
        "identities asked for": query["identity"].nunique(),
        "gallery tracklets": len(gallery),
        "gallery tracklets of the identities asked for": len(gallery) - len(distractors),
        "gallery tracklets of distractors": len(distractors),
        "distractors": distractors["identity"].nunique(),
        "cameras": table["camera"].nunique(),
        "pictures of the shortest tracklet": table["length"].min(),
        "pictures of the longest tracklet": table["length"].max(),
    }
