"""A user's videos with their tracks: which file belongs to which, their boxes, and their tracklets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.data.camera_frames import list_image_sequence
from sttreid.data.camera_videos import Camera
from sttreid.data.track_files import read_tracks
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError

OUTSIDE: Final = 0.1  # share of boxes outside of the frame above which the tracks are those of another film


@dataclass(frozen=True)
class Recording:
    """One video.

    Attributes:
        video: a video file, or a folder of images that are named by their frame numbers.
        tracks: its tracks file.
        camera: name of its camera.
    """

    video: Path
    tracks: Path
    camera: str


def pair_up(
    videos: Sequence[Path], tracks: Sequence[Path] = (), cameras: Sequence[str] = ()
) -> tuple[Recording, ...]:
    """The recordings; all files exist.

    Args:
        videos: at least one; their file names must differ.
        tracks: one per video in the same order; none: CAM1.txt beside CAM1.mp4.
        cameras: names, one per video; none: the names of the videos without their suffix.

    Raises:
        InputError: a rule is broken, or a file is missing.
    """
    if not videos:
        raise InputError("there must be at least 1 video, got 0")
    for name, given in (("tracks files", tracks), ("names of cameras", cameras)):
        if given and len(given) != len(videos):
            raise InputError(f"{len(videos)} videos need as many {name}, or none, got {len(given)}")
    names = [video.name for video in videos]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"the names of the videos must differ (queries use them), got {name} twice")
    found = tracks or [_beside(video) for video in videos]
    for video, file in zip(videos, found, strict=True):
        if not video.exists():
            raise InputError(f"{video}: the video is missing")
        if not file.is_file():
            raise InputError(f"{file}: the tracks file of {video.name} is missing")
    called = cameras or [video.stem for video in videos]
    return tuple(Recording(*parts) for parts in zip(videos, found, called, strict=True))


def _beside(video: Path) -> Path:
    """The tracks file of a video, or of a folder of images."""
    return video.parent / f"{video.name}.txt" if video.is_dir() else video.with_suffix(".txt")


def open_camera(recording: Recording) -> Camera:
    """The recording as a camera whose frames can be read.

    Raises:
        InputError: it is no video, or no folder of images.
    """
    if recording.video.is_dir():
        frames = max(list_image_sequence(recording.video))
    else:
        frames = count_frames(recording.video)
    return Camera(1, recording.video, recording.tracks, frames)


def read_boxes(camera: Camera) -> pd.DataFrame:
    """One row per box in the file's order: frame (from 1), track (text), left, top, width, height, line.

    Raises:
        InputError: a line breaks a rule of its format, or names a frame that the video does not have.
    """
    table = read_tracks(camera.tracks, camera.frames, all_lines=False)
    table["track"] = table["identity"].astype(str)
    return table[["frame", "track", "left", "top", "width", "height", "line"]]


def seconds_per_frame(video: Path) -> float:
    """The mean time between two frames; 1/25 for a folder of images, which does not say.

    Raises:
        InputError: PyAV is not installed.
    """
    if video.is_dir():
        return 1 / 25
    try:
        import av
    except ImportError as error:
        raise InputError("PyAV is needed to read videos: pip install 'sttreid[pipeline]'") from error
    with av.open(str(video)) as container:
        rate = container.streams.video[0].average_rate
    return float(1 / rate) if rate else 1 / 25


def visible_boxes(tracks: Path, boxes: pd.DataFrame, width: int, height: int) -> pd.DataFrame:
    """The boxes that overlap the frame, with the column ``cut``: whether its border cuts the box.

    Trackers predict boxes beyond the border, so a few may lie outside.

    Raises:
        InputError: too many lie outside: the tracks belong to another film.
    """
    right, bottom = boxes["left"] + boxes["width"], boxes["top"] + boxes["height"]
    inside = (boxes["left"] < width) & (boxes["top"] < height) & (right > 0) & (bottom > 0)
    outside = int((~inside).sum())
    if outside > OUTSIDE * len(boxes):
        line = int(boxes["line"][~inside].iloc[0])
        rule = f"boxes must lie in the {width}x{height} frames of their film"
        raise InputError(f"{tracks}:{line}: {rule}, got {outside} of {len(boxes)} outside (of another film?)")
    cut = (boxes["left"] <= 0) | (boxes["top"] <= 0) | (right >= width) | (bottom >= height)
    return boxes.assign(cut=cut)[inside]


def split_tracks(boxes: pd.DataFrame, max_frame_gap: int | None) -> pd.DataFrame:
    """The boxes by frame, with their tracklet, from 0 by its first frame, and their place in it, from 0.

    Args:
        boxes: of one video.
        max_frame_gap: a track ends when it is lost for more frames than this; None: never.
    """
    rows = boxes.sort_values(["track", "frame"], ignore_index=True)
    steps = rows.groupby("track")["frame"].diff()  # NaN at the first box of a track
    same = steps <= (math.inf if max_frame_gap is None else max_frame_gap)
    piece = (~same).cumsum()
    rows["place"] = rows.groupby(piece).cumcount()
    first = rows.groupby(piece)["frame"].transform("first")
    order = np.lexsort((piece, first))
    rows["tracklet"] = pd.Series(pd.factorize(piece.iloc[order])[0], index=rows.index[order])
    return rows.sort_values(["frame", "tracklet"], ignore_index=True)


def describe_tracklets(boxes: pd.DataFrame, recording: Recording, seconds: float) -> pd.DataFrame:
    """The table of a gallery for the boxes of :func:`split_tracks`; identities are not known.

    Args:
        boxes: of one video, with the column ``cut``.
        recording: the video.
        seconds: per frame.
    """
    table = boxes.groupby("tracklet").agg(
        track=("track", "first"),
        first=("frame", "min"),
        last=("frame", "max"),
        boxes=("frame", "size"),
        height=("height", "median"),
        border=("cut", "mean"),
    )
    table = table.assign(
        video=recording.video.name,
        camera=recording.camera,
        start=(table["first"] - 1) * seconds,
        end=table["last"] * seconds,
        identity=None,
    )
    return table.reset_index(drop=True)
