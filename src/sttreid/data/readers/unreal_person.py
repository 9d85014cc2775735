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
from sttreid.data.readers.names import Ints, owners, parse
from sttreid.data.readers.tracklets import PERSON, Part, Tracklets, assemble
from sttreid.data.readers.trees import list_pictures, read_tree
from sttreid.errors import InputError

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


def read_unreal_person(folder: Path, gap: int = 10, strict: bool = False) -> Tracklets:
    """Read UnrealPerson; ``folder`` holds the folders ``unreal_v...`` or is one of them, or holds tracklets.

    Args:
        folder: of the data set.
        gap: from one picture of a tracklet to its next, in frames, at most; the tracklets of the video layout
            are left as they are.
        strict: whether a count that is off is an error.

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
    if pictures:
        part = _cut(root, pictures, gap)
        empty = [path.name for path in releases if path / "images" not in pictures]
    else:
        part, empty = _video(root, _crops(root, releases or [root]))
    official = OFFICIAL if pictures else {}
    kind = "releases without images/" if pictures else "folders of tracklets without a picture"
    checks = [absent(kind, empty)]
    return assemble("UnrealPerson", root, [part], official, _counts, checks, strict)


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


def _cut(root: Path, folders: list[Path], gap: int) -> Part:
    """Tracklets of the released images, cut where the frames leave a gap."""
    listing = list_pictures(root, folders)
    owner = owners(listing.lengths)
    fields = parse(listing.files, PICTURE, lambda place: folders[owner[place]], EXAMPLE)
    release = np.array([_release(folder.parent) for folder in folders], np.int64)[owner]
    identity = release[:, 1] * VERSIONS + fields["person"]
    camera, frame = release[:, 0] * SCENES + fields["camera"], fields["frame"]
    order = np.lexsort((frame, camera, identity))
    identity, camera, frame = identity[order], camera[order], frame[order]
    new = (np.diff(identity, prepend=-1) != 0) | (np.diff(camera, prepend=-1) != 0)
    start = np.flatnonzero(new | (np.diff(frame, prepend=0) > gap))
    rows = _rows(identity[start], camera[start], np.diff(start, append=len(frame)))
    rows["folder"] = [listing.folders[place] for place in owner[order][start].tolist()]
    return Part(rows, listing.files.take(pa.array(order)), frame)


def _video(root: Path, folders: list[Path]) -> tuple[Part, list[str]]:
    """Tracklets as the toolkit writes them, a folder each."""
    tree = read_tree(root, folders, CROP, CROP_EXAMPLE, "frame")
    release = np.array([_release((root / name).parent) for name in tree.folders], np.int64).reshape(-1, 2)
    identity = release[:, 1] * VERSIONS + tree.one("person")
    rows = _rows(identity, release[:, 0] * SCENES + tree.one("camera"), tree.lengths)
    rows["folder"] = tree.folders
    return Part(rows, tree.files, tree.fields["frame"]), tree.empty


def _rows(identity: Ints, camera: Ints, lengths: Ints) -> pd.DataFrame:
    rows = pd.DataFrame({"identity": identity, "camera": camera, "length": lengths, "split": "train"})
    rows["kind"], rows["query"], rows["gallery"], rows["missing"] = PERSON, False, False, 0
    return rows


def _counts(table: pd.DataFrame) -> dict[str, int]:
    cameras = table["camera"].unique()
    return {f"cameras of scene {scene}": (cameras // SCENES == scene).sum() for scene in range(1, 5)}
