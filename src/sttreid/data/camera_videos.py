"""Camera videos with their tracks, checked and not yet decoded."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from sttreid.tracklets.store import SPLITS

COLUMNS: Final = [
    "camera", "frame", "identity", "left", "top", "width", "height", "visibility", "split", "line"
]  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """One camera, or one of the files into which its recorder wrote it; these have the same number.

    Attributes:
        number: from its name.
        video: its video file, or the folder of its images.
        tracks: its tracks file.
        frames: number of frames.
        before: number of frames of the same camera in earlier files.
        start: number in the name of the first frame's image; 1 for videos.
    """

    number: int
    video: Path
    tracks: Path
    frames: int
    before: int = 0
    start: int = 1


@dataclass(frozen=True)
class LeftOut:
    """Lines of a tracks file that gave no box.

    Attributes:
        path: of the file, relative to the set's folder.
        reason: why.
        boxes: how many lines.
    """

    path: str
    reason: str
    boxes: int


@dataclass(frozen=True, eq=False)
class CameraVideos:
    """A checked data set of camera videos.

    Attributes:
        folder: of the data set.
        name: of the data set, as it is printed.
        cameras: by ascending number; the files of a camera in their order.
        boxes: one row per box, sorted by camera, then in the order of the tracks file, with the columns
            ``COLUMNS``: frame from 1 in its camera, box in pixels, visibility 0 to 1, line from 1 in its
            tracks file.
        max_frame_gap: maximum step between two boxes of a tracklet, in frames; None: no limit.
        track_table: path of the table of orientations, if the set may have one; the file need not exist.
        remarks: sentences on how the tracks were read, with counts.
        warnings: sentences on what may be wrong.
        left_out: the lines that gave no box.
    """

    folder: Path
    name: str
    cameras: tuple[Camera, ...]
    boxes: pd.DataFrame
    max_frame_gap: int | None
    track_table: Path | None = None
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def boxes_of_file(camera: Camera, boxes: pd.DataFrame, last: bool = False) -> pd.DataFrame:
    """The boxes in one file, with the frame from 1 in this file; row labels stay.

    Args:
        camera: the file.
        boxes: of all cameras, as :attr:`CameraVideos.boxes`.
        last: whether it is the last file of its camera: boxes beyond its end are then its own.
    """
    frames = boxes["frame"] - camera.before
    chosen = (boxes["camera"] == camera.number) & (frames >= 1) & (last | (frames <= camera.frames))
    return boxes[chosen].assign(frame=frames[chosen])


def assign_tracklets(boxes: pd.DataFrame, max_frame_gap: int | None) -> pd.DataFrame:
    """Sort boxes into the store's order and number their tracklets.

    A tracklet is a sequence of one identity in one camera; it ends when the identity is lost for more than
    ``max_frame_gap`` frames. The order is split (train, validation, test, distractors), identity, camera,
    frame.

    Args:
        boxes: as :attr:`CameraVideos.boxes`.
        max_frame_gap: as :attr:`CameraVideos.max_frame_gap`.

    Returns:
        The same rows with a column ``tracklet``; a row's label is its row in the store.
    """
    rows = boxes.assign(rank=boxes["split"].map(SPLITS.index))
    rows = rows.sort_values(["rank", "identity", "camera", "frame"], ignore_index=True)
    steps = rows.groupby(["rank", "identity", "camera"])["frame"].diff()  # NaN at the first box of a camera
    same = steps <= (math.inf if max_frame_gap is None else max_frame_gap)
    rows["tracklet"] = (~same).cumsum() - 1
    return rows.drop(columns="rank")


def tracklet_table(videos: CameraVideos) -> pd.DataFrame:
    """One row per tracklet: split, identity, camera, first (frame), length (boxes)."""
    tracklets = assign_tracklets(videos.boxes, videos.max_frame_gap).groupby("tracklet")
    return tracklets.agg(
        split=("split", "first"),
        identity=("identity", "first"),
        camera=("camera", "first"),
        first=("frame", "min"),
        length=("frame", "size"),
    )
