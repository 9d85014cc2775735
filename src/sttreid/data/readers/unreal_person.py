"""UnrealPerson (Zhang et al., An Adaptive Pipeline towards Costless Person Re-Identification, CVPR 2021).

::

    unreal_v3.1/images/333_c001_78.jpg        scene 3, model version 1; person, camera, frame (not padded)
    <tracklet>/333_c1_F78_10_20_50_120.jpg    the video layout of its toolkit; left, top, right, bottom last

Each version numbers the persons anew, each scene the cameras. So identity 1000333 is person 333 of version 1,
and camera 3001 is camera 1 of scene 3; without a folder ``unreal_v...`` both are 0. All tracklets train.
"""

import re
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field
from pydantic.dataclasses import dataclass

from sttreid.config.datasets import CONFIG
from sttreid.data.folder_listing import content_of, locate, shorten, subfolders
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import Ints, parse_names, pattern_groups
from sttreid.data.published.official_counts import expect_none
from sttreid.data.published.published_set import FRAME, PERSON, PublishedSet, assemble
from sttreid.data.published.tracklet_folders import list_images, read_tracklet_folders
from sttreid.data.registry import Reader, ReadSettings
from sttreid.runtime.errors import InputError

LANDMARKS: Final = (("unreal_v[0-9]*.[0-9]*",), ("[0-9]*/[0-9]*_c[0-9]*_F[0-9]*_*",))
IMAGE: Final = r"^(?P<person>\d{1,6})_c(?P<camera>\d{1,3})_(?P<frame>\d{1,18})\.(?i:jpe?g|png)$"
EXAMPLE: Final = "333_c001_78.jpg"
VIDEO_IMAGE: Final = (
    r"^(?P<person>\d{1,6})_c(?P<camera>\d{1,3})_F(?P<frame>\d{1,18})(?:_.*)?"
    r"_(?:-?\d+)_(?:-?\d+)_(?:-?\d+)_(?:-?\d+)\.(?i:jpe?g|png)$"
)
VIDEO_EXAMPLE: Final = "333_c1_F78_10_20_50_120.jpg"
PER_VERSION: Final = 1_000_000  # identity = version * this + person
PER_SCENE: Final = 1_000  # camera = scene * this + camera
OFFICIAL: Final = {
    "cameras of scene 1": 6,
    "cameras of scene 2": 16,
    "cameras of scene 3": 6,
    "cameras of scene 4": 6,
}
_RELEASE: Final = re.compile(r"unreal_v([0-9]{1,3})\.([0-9]{1,3})")


@dataclass(frozen=True, config=CONFIG)
class UnrealOptions:
    """Options of UnrealPerson.

    Attributes:
        max_frame_gap: from one image of a tracklet to the next, in frames, at most; tracklets of the video
            layout are not cut.
    """

    max_frame_gap: Annotated[int, Field(ge=1)]


def read_unreal_person(
    folder: Path, max_frame_gap: int = 10, strict: bool = False, scratch: Path | None = None
) -> PublishedSet:
    """Read UnrealPerson.

    Args:
        folder: holds the folders ``unreal_v...`` or is one of them, or holds tracklets.
        max_frame_gap: as in :class:`UnrealOptions`.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not UnrealPerson; the gap is below 1; an image is misnamed; a tracklet of the video
            layout holds several persons or cameras; ``strict``, and a count differs.
    """
    if max_frame_gap < 1:
        raise InputError(f"max_frame_gap must be at least 1, got {max_frame_gap}")
    real = folder.resolve()  # scene and version are in the name of the folder, not of a link to it
    is_release = real.is_dir() and _RELEASE.fullmatch(real.name) is not None
    root = real.parent if is_release else locate(folder, "unreal_person", LANDMARKS)
    releases = [real] if is_release else [path for path in subfolders(root) if _RELEASE.fullmatch(path.name)]
    folders = [path / "images" for path in releases if (path / "images").is_dir()]
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    if folders:
        rows = _read_images(buffer, root, folders, max_frame_gap)
        empty = [path.name for path in releases if path / "images" not in folders]
    else:
        rows, empty = _read_tracklets(buffer, root, _tracklet_folders(root, releases or [root]))
    official = OFFICIAL if folders else {}
    check = expect_none(
        "releases without images/" if folders else "folders of tracklets without an image", empty
    )
    return assemble("UnrealPerson", root, [rows], buffer, official, _counts, [check], strict)


def _read(folder: Path, options: UnrealOptions, settings: ReadSettings) -> PublishedSet:
    return read_unreal_person(folder, options.max_frame_gap, settings.strict, settings.scratch)


READER = Reader(
    name="unreal_person",
    read=_read,
    protocol="market",  # never tested: all its tracklets train
    options=UnrealOptions,
    usual={"max_frame_gap": 10},
    landmarks=LANDMARKS,
)


def _tracklet_folders(root: Path, tops: list[Path]) -> list[Path]:
    """The tracklets of the video layout; InputError if there is none, as in a zipped release."""
    folders = [folder for top in tops for folder in subfolders(top)]
    if not folders:
        names = [path.name for path in tops if path != root] + [
            name for top in tops for name in content_of(top)
        ]
        raise InputError(
            f"{root}: looked for unreal_v<scene>.<version>/images or folders of tracklets, unpacked,"
            f" found {shorten(sorted(names))}"
        )
    return folders


def _scene_and_version(path: Path) -> tuple[int, int]:
    """Scene and version of a release; 0 and 0 for other folders."""
    release = _RELEASE.fullmatch(path.name)
    return (int(release[1]), int(release[2])) if release else (0, 0)


def _read_images(buffer: DiskBuffer, root: Path, folders: list[Path], max_frame_gap: int) -> pd.DataFrame:
    """Tracklets of the released images, by identity, camera and frame; memory holds one folder's images."""
    listings = zip(folders, list_images(root, folders), strict=True)
    parts = [_cut(buffer, folder, path, names, max_frame_gap) for folder, (path, names) in listings]
    rows = pd.concat(parts, ignore_index=True)
    return rows.iloc[np.lexsort((rows["first"], rows["camera"], rows["identity"]))]


def _cut(
    buffer: DiskBuffer, folder: Path, relative: str, names: pa.Array, max_frame_gap: int
) -> pd.DataFrame:
    """Tracklets of one folder's images, cut where the next frame is more than ``max_frame_gap`` later."""
    fields = parse_names(names, IMAGE, lambda _: folder, EXAMPLE)
    order = np.lexsort((fields[FRAME], fields["camera"], fields["person"]))
    person, camera, frame = (fields[name][order] for name in buffer.fields)
    new = (np.diff(person, prepend=-1) != 0) | (np.diff(camera, prepend=-1) != 0)
    start = np.flatnonzero(new | (np.diff(frame, prepend=0) > max_frame_gap))
    rows = _rows(_scene_and_version(folder.parent), person[start], camera[start])
    rows["start"], rows["length"] = len(buffer) + start, np.diff(start, append=len(frame))
    rows["folder"], rows["first"] = relative, frame[start]
    fields = dict(zip(buffer.fields, (person, camera, frame), strict=True))
    buffer.append(names.take(pa.array(order)), fields)
    return rows


def _read_tracklets(buffer: DiskBuffer, root: Path, folders: list[Path]) -> tuple[pd.DataFrame, list[str]]:
    """Tracklets of the video layout, one folder each, and the folders without images."""
    tracklets = read_tracklet_folders(buffer, root, folders, VIDEO_IMAGE, VIDEO_EXAMPLE, FRAME)
    releases = [_scene_and_version((root / name).parent) for name in tracklets.folders]
    release = np.array(releases, np.int64).reshape(-1, 2)
    person, camera = tracklets.shared_number("person"), tracklets.shared_number("camera")
    rows = _rows((release[:, 0], release[:, 1]), person, camera)
    rows["start"], rows["length"], rows["folder"] = tracklets.starts, tracklets.lengths, tracklets.folders
    return rows, tracklets.empty


def _rows(release: tuple[int | Ints, int | Ints], person: Ints, camera: Ints) -> pd.DataFrame:
    scene, version = release
    identity, camera = version * PER_VERSION + person, scene * PER_SCENE + camera
    rows = pd.DataFrame({"identity": identity, "camera": camera, "split": "train", "kind": PERSON})
    rows["query"], rows["gallery"], rows["missing"] = False, False, 0
    return rows


def _counts(table: pd.DataFrame) -> dict[str, int]:
    cameras = table["camera"].unique()
    return {f"cameras of scene {scene}": (cameras // PER_SCENE == scene).sum() for scene in range(1, 5)}
