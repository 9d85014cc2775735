"""UnrealPerson (Zhang et al., An Adaptive Pipeline towards Costless Person Re-Identification, CVPR 2021).

::

    unreal_v3.1/images/333_c001_78.jpg        scene 3, model version 1; person, camera, frame (not padded)
    <tracklet>/333_c1_F78_10_20_50_120.jpg    the video layout of its toolkit; left, top, right, bottom last

Persons are numbered anew by each version, cameras by each scene. So identity 1000333 is person 333 of version
1, and camera 3001 is camera 1 of scene 3; without a folder ``unreal_v...`` both are 0. All tracklets train.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from sttreid.data.readers.checks import absent
from sttreid.data.readers.folders import locate, some, subfolders
from sttreid.data.readers.names import Ints, groups, parse
from sttreid.data.readers.spool import Spool
from sttreid.data.readers.tracklets import FRAME, PERSON, Tracklets, assemble
from sttreid.data.readers.trees import list_pictures, read_tree
from sttreid.runtime.errors import InputError

PICTURE: Final = r"^(?P<person>\d{1,6})_c(?P<camera>\d{1,3})_(?P<frame>\d{1,18})\.(?i:jpe?g|png)$"
EXAMPLE: Final = "333_c001_78.jpg"
CROP: Final = (
    r"^(?P<person>\d{1,6})_c(?P<camera>\d{1,3})_F(?P<frame>\d{1,18})(?:_.*)?"
    r"_(?:-?\d+)_(?:-?\d+)_(?:-?\d+)_(?:-?\d+)\.(?i:jpe?g|png)$"
)
CROP_EXAMPLE: Final = "333_c1_F78_10_20_50_120.jpg"
VERSIONS: Final = 1_000_000  # identity = version * this + person
SCENES: Final = 1_000  # camera = scene * this + camera
OFFICIAL: Final = {
    "cameras of scene 1": 6,
    "cameras of scene 2": 16,
    "cameras of scene 3": 6,
    "cameras of scene 4": 6,
}
_RELEASE: Final = re.compile(r"unreal_v([0-9]{1,3})\.([0-9]{1,3})")


def read_unreal_person(
    folder: Path, gap: int = 10, strict: bool = False, scratch: Path | None = None
) -> Tracklets:
    """Read UnrealPerson; ``folder`` holds the folders ``unreal_v...`` or is one of them, or holds tracklets.

    Args:
        folder: of the data set.
        gap: from one picture of a tracklet to its next, in frames, at most; the tracklets of the video layout
            are left as they are.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no UnrealPerson; the gap is below 1; a picture is misnamed; a tracklet of the video
            layout holds several persons or cameras; ``strict``, and a count is off.
    """
    if gap < 1:
        raise InputError(f"gap must be at least 1, got {gap}")
    real = folder.resolve()  # the name says scene and version, so it must be that of the folder itself
    alone = real.is_dir() and _RELEASE.fullmatch(real.name) is not None
    root = real.parent if alone else locate(folder, "unreal_person")
    releases = [real] if alone else [path for path in subfolders(root) if _RELEASE.fullmatch(path.name)]
    pictures = [path / "images" for path in releases if (path / "images").is_dir()]
    spool = Spool(groups(PICTURE), scratch)
    if pictures:
        rows = _cut(spool, root, pictures, gap)
        empty = [path.name for path in releases if path / "images" not in pictures]
    else:
        rows, empty = _video(spool, root, _crops(root, releases or [root]))
    official = OFFICIAL if pictures else {}
    kind = "releases without images/" if pictures else "folders of tracklets without a picture"
    checks = [absent(kind, empty)]
    return assemble("UnrealPerson", root, [rows], spool, official, _counts, checks, strict)


def _crops(root: Path, tops: list[Path]) -> list[Path]:
    """The folders of tracklets of the video layout; InputError if there is none, as of a zipped release."""
    found = [crop for path in tops for crop in subfolders(path)]
    if not found:
        listed = some(sorted(path.name for top in tops for path in (top, *top.iterdir()) if path != root))
        raise InputError(
            f"{root}: looked for unreal_v<scene>.<version>/images or folders of tracklets, unpacked,"
            f" found {listed}"
        )
    return found


def _release(path: Path) -> tuple[int, int]:
    """Scene and version of a folder: 0 and 0 if its name says neither."""
    found = _RELEASE.fullmatch(path.name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _cut(spool: Spool, root: Path, folders: list[Path], gap: int) -> pd.DataFrame:
    """Tracklets of the released images, by identity, camera and frame; memory holds one folder's images."""
    listed = zip(folders, list_pictures(root, folders), strict=True)
    parts = [_cut_folder(spool, folder, relative, names, gap) for folder, (relative, names) in listed]
    rows = pd.concat(parts, ignore_index=True)
    return rows.iloc[np.lexsort((rows["first"], rows["camera"], rows["identity"]))]


def _cut_folder(spool: Spool, folder: Path, relative: str, names: pa.Array, gap: int) -> pd.DataFrame:
    """Tracklets of one folder, cut where the frames leave a gap."""
    fields = parse(names, PICTURE, lambda _: folder, EXAMPLE)
    order = np.lexsort((fields[FRAME], fields["camera"], fields["person"]))
    person, camera, frame = (fields[name][order] for name in spool.fields)
    new = (np.diff(person, prepend=-1) != 0) | (np.diff(camera, prepend=-1) != 0)
    start = np.flatnonzero(new | (np.diff(frame, prepend=0) > gap))
    rows = _rows(_release(folder.parent), person[start], camera[start])
    rows["start"], rows["length"] = len(spool) + start, np.diff(start, append=len(frame))
    rows["folder"], rows["first"] = relative, frame[start]
    spool.append(names.take(pa.array(order)), dict(zip(spool.fields, (person, camera, frame), strict=True)))
    return rows


def _video(spool: Spool, root: Path, folders: list[Path]) -> tuple[pd.DataFrame, list[str]]:
    """Tracklets as the toolkit writes them, a folder each."""
    tree = read_tree(spool, root, folders, CROP, CROP_EXAMPLE, FRAME)
    release = np.array([_release((root / name).parent) for name in tree.folders], np.int64).reshape(-1, 2)
    rows = _rows((release[:, 0], release[:, 1]), tree.one("person"), tree.one("camera"))
    rows["start"], rows["length"], rows["folder"] = tree.starts, tree.lengths, tree.folders
    return rows, tree.empty


def _rows(release: tuple[int | Ints, int | Ints], person: Ints, camera: Ints) -> pd.DataFrame:
    scene, version = release
    identity, camera = version * VERSIONS + person, scene * SCENES + camera
    rows = pd.DataFrame({"identity": identity, "camera": camera, "split": "train", "kind": PERSON})
    rows["query"], rows["gallery"], rows["missing"] = False, False, 0
    return rows


def _counts(table: pd.DataFrame) -> dict[str, int]:
    cameras = table["camera"].unique()
    return {f"cameras of scene {scene}": (cameras // SCENES == scene).sum() for scene in range(1, 5)}
