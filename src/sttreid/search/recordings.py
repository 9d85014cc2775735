"""A user's videos with their tracks: which file belongs to which, their boxes, and their tracklets."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.config.track_format import TrackFormat
from sttreid.data.camera_frames import list_image_sequence
from sttreid.data.camera_videos import Camera
from sttreid.data.footage_files import missing_tracks
from sttreid.data.frame_sizes import image_size, video_size
from sttreid.data.tracks.plausibility import Checked, check_boxes
from sttreid.data.tracks.sources import TrackFile, read_all
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError
from sttreid.search.frame_times import FrameTimes

OUTSIDE: Final = 0.1  # share of boxes outside of the frame above which the tracks are those of another film
SAME: Final = 0.01  # relative difference of heights that are written with few digits
BESIDE: Final = (".txt", ".csv", ".tsv")  # suffixes of tracks beside a video
NESTED: Final = (".json", ".jsonl", ".xml")  # of files that have no line for each box
COLUMNS: Final = ["frame", "track", "left", "top", "width", "height", "line"]


@dataclass(frozen=True)
class Recording:
    """One video.

    Attributes:
        video: a video file, or a folder of images that are named by their frame numbers.
        tracks: its tracks file, or the folder of its boxes by frame, as ultralytics writes them.
        camera: name of its camera.
    """

    video: Path
    tracks: Path
    camera: str


@dataclass(frozen=True, eq=False)
class Footage:
    """A recording whose tracks were read.

    Attributes:
        recording: the files.
        camera: the same as a camera whose frames can be read.
        boxes: one row per box with the columns ``COLUMNS``: frame from 1, track as text, box in pixels, line
            of the tracks file.
        remarks: sentences on how the tracks were read, with counts, and warnings.
    """

    recording: Recording
    camera: Camera
    boxes: pd.DataFrame
    remarks: tuple[str, ...] = ()


def pair_up(
    videos: Sequence[Path], tracks: Sequence[Path] = (), cameras: Sequence[str] = ()
) -> tuple[Recording, ...]:
    """The recordings; all files exist.

    Args:
        videos: at least one; their file names must differ.
        tracks: one per video in the same order; none: CAM1.txt beside CAM1.mp4.
        cameras: names, one per video; none: the names of the videos without the suffix of a file.

    Raises:
        InputError: a rule is broken, a file is missing, tracks have no line for each box, or two videos would
            have the same tracks or, without being told, the same camera.
    """
    if not videos:
        raise InputError("there must be at least 1 video, got 0")
    for name, given in (("tracks files", tracks), ("names of cameras", cameras)):
        if given and len(given) != len(videos):
            raise InputError(f"{len(videos)} videos need as many {name}, or none, got {len(given)}")
    for video in videos:
        if video.name in ("", ".."):
            raise InputError(f"{video}: a video must have a name, which its tracks and queries use")
    if "" in cameras:
        raise InputError("a camera must have a name, got ''")
    _check_different(videos, [video.name for video in videos], "the names", "queries use them")
    found = tracks or [_beside(video) for video in videos]
    for video, file in zip(videos, found, strict=True):
        if not video.exists():
            raise InputError(f"{video}: the video is missing")
        if not file.exists():
            hint = "--tracks gives another file, --detect finds the people first"
            raise InputError(f"{file}: {missing_tracks(file, video)} ({hint})")
        if file.suffix.lower() in NESTED and file.is_file():
            rule = "tracks must be text with a line for each box (docs/tracks.md converts JSON)"
            raise InputError(f"{file}: {rule}, got {file.suffix!r}")
    own = [file / _stem(video) if file.is_dir() else file for video, file in zip(videos, found, strict=True)]
    _check_different(videos, list(map(str, own)), "the tracks", "--tracks gives them")
    called = cameras or [_stem(video) for video in videos]
    if not cameras:
        _check_different(videos, called, "the cameras", "--camera names them, also if they are one")
    for name in (*(video.name for video in videos), *called):
        _check_text(name)
    return tuple(Recording(*parts) for parts in zip(videos, found, called, strict=True))


def _check_text(name: str) -> None:
    """Raise InputError for a name that no gallery can hold: Python stands in for its bytes by surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        rule = "names of videos and cameras must be UTF-8 (rename the file, and give --camera)"
        raise InputError(f"{rule}, got {name!r}") from error


def _check_different(videos: Sequence[Path], names: Sequence[str], what: str, why: str) -> None:
    """Raise InputError if two videos have one name."""
    for number, name in enumerate(names):
        if name in names[:number]:
            both = f"{videos[names.index(name)]} and {videos[number]}"
            raise InputError(f"{both}: {what} of videos must differ ({why}), got {name} twice")


def _stem(video: Path) -> str:
    """The name of a video; that of a folder of images has no suffix, whatever follows its last dot."""
    return video.name if video.is_dir() else video.stem


def _beside(video: Path) -> Path:
    """The tracks file of a video, or of a folder of images."""
    stem = _stem(video)
    found = [video.with_name(stem + suffix) for suffix in BESIDE]
    return next((path for path in found if path.is_file()), found[0])


def read_recordings(
    recordings: Sequence[Recording], formats: TrackFormat | None = None
) -> tuple[Footage, ...]:
    """Read and check the tracks of all recordings before a frame is decoded.

    Files of one writer are judged together (:mod:`sttreid.data.tracks`).

    Args:
        recordings: of :func:`pair_up`.
        formats: what is known about the tracks; None: all is detected.

    Raises:
        InputError: a video cannot be opened; tracks break a rule of their format, or cannot be what they are
            taken for.
    """
    formats = formats or TrackFormat()
    files = [_track_file(one) for one in recordings]
    footage = []
    for recording, file, read in zip(recordings, files, read_all(files, formats, "raise"), strict=True):
        numbering = read.numbering
        table, frames = read.boxes.table, numbering.frames
        checked = check_boxes(file.path, table, file.picture, frames, formats.plausibility, file.places())
        _check_film(file, read.boxes.table, checked)
        account = read.boxes.account.without(checked.left_out, "without an image")
        warnings = (f"warning: {text}" for text in (*read.warnings, *checked.warnings))
        remarks = (f"{account}; {read.statement}", checked.statement, *warnings)
        camera = Camera(1, recording.video, recording.tracks, numbering.frames, start=numbering.start)
        boxes = checked.table.assign(track=checked.table["identity"].astype(str))[COLUMNS]
        footage.append(Footage(recording, camera, boxes, tuple(f"{recording.tracks}: {t}" for t in remarks)))
    return tuple(footage)


def _check_film(file: TrackFile, boxes: pd.DataFrame, checked: Checked) -> None:
    """Raise InputError if so many boxes have no image that the tracks are those of another film.

    Trackers predict boxes beyond the border, so a few may have none.
    """
    if file.picture is None or checked.left_out <= OUTSIDE * len(boxes):
        return
    line = int(boxes.loc[~boxes["line"].isin(checked.table["line"]), "line"].iloc[0])
    width, height = file.picture
    rule = f"boxes must lie in the {width}x{height} frames of their film"
    raise InputError(f"{file.places()(line)}: {rule}, got {checked.left_out} of {len(boxes)} outside")


def _track_file(recording: Recording) -> TrackFile:
    video, stem = recording.video, _stem(recording.video)
    if not video.is_dir():
        return TrackFile(recording.tracks, count_frames(video), stem=stem, picture=video_size(video))
    images = list_image_sequence(video)
    first, last = min(images), max(images)
    return TrackFile(recording.tracks, last, first, stem=stem, picture=image_size(images[first]))


def video_of(tracks: Path, videos: Sequence[str]) -> str:
    """The name of the video of a tracks file, which is named like it, with or without its suffix.

    Raises:
        InputError: none of the videos has this name, or several have.
    """
    found = [video for video in videos if tracks.stem in (video, Path(video).stem)]
    if len(found) != 1:
        rule = f"must be named like one video of the gallery, {', '.join(videos)}"
        raise InputError(f"{tracks}: {rule}, got {len(found)} of that name")
    return found[0]


def read_embedded_boxes(
    tracks: Path, tracklets: pd.DataFrame, formats: TrackFormat | None = None
) -> pd.DataFrame:
    """The boxes of a tracks file without its video, with the columns ``COLUMNS``.

    The frame that is the first is the one with which most tracks begin and end as in the gallery.

    Args:
        tracks: the file.
        tracklets: rows of the gallery that are of its video.
        formats: what is known about the tracks; None: all is detected.

    Raises:
        InputError: a line breaks a rule of its format, or most tracks have boxes of another height than in
            the gallery: the columns were taken for others, or the tracks are those of another film.
    """
    (read,) = read_all([TrackFile(tracks, None, stem=tracks.stem)], formats or TrackFormat(), "raise")
    boxes = read.boxes.table.assign(track=read.boxes.table["identity"].astype(str))[COLUMNS]
    ends = boxes.groupby("track")["frame"].agg(["min", "max"])
    known = tracklets.groupby("track").agg(first=("first", "min"), last=("last", "max"))
    both = ends.join(known, how="inner")
    shifts = (both["first"] - both["min"])[both["last"] - both["max"] == both["first"] - both["min"]]
    shifted = boxes.assign(frame=boxes["frame"] + (int(shifts.mode().iloc[0]) if len(shifts) else 0))
    _check_heights(tracks, shifted, tracklets)
    return shifted


def _check_heights(tracks: Path, boxes: pd.DataFrame, tracklets: pd.DataFrame) -> None:
    """Raise InputError if most tracklets have boxes of another height: a few tracks may have been edited."""
    given = tracklets[["track", "first", "last", "height"]].rename(columns={"height": "known"})
    inside = boxes.merge(given, on="track").query("first <= frame <= last")
    found = inside.groupby(["track", "first"], as_index=False).agg(
        height=("height", "median"), known=("known", "first")
    )
    other = found[(found["height"] - found["known"]).abs() > SAME * found["known"]]
    if 2 * len(other) > len(found):
        row = other.iloc[0]
        rule = f"track {row['track']} must have the median height of its tracklet, {row['known']:g}"
        raise InputError(
            f"{tracks}: {rule}, got {row['height']:g}; give the --format with which it was embedded"
        )


def state_of(video: Path) -> str:
    """A digest that changes with a film, or with the images of a folder, without reading them."""
    files = sorted(video.iterdir()) if video.is_dir() else [video]  # a folder does not change with its files
    states = [(file.name, state.st_size, state.st_mtime_ns) for file in files for state in [file.stat()]]
    return hashlib.sha256(repr(states).encode()).hexdigest()


def mark_cut_boxes(boxes: pd.DataFrame, width: int, height: int) -> pd.DataFrame:
    """The boxes with the column ``cut``: whether the border of the frame cuts the box."""
    right, bottom = boxes["left"] + boxes["width"], boxes["top"] + boxes["height"]
    cut = (boxes["left"] <= 0) | (boxes["top"] <= 0) | (right >= width) | (bottom >= height)
    return boxes.assign(cut=cut)


def split_tracks(boxes: pd.DataFrame, max_frame_gap: int | None) -> pd.DataFrame:
    """The boxes by frame, with their tracklet, from 0 by its first frame, and their place in it, from 0.

    Args:
        boxes: of one video.
        max_frame_gap: a track ends when its next box is more frames later than this; None: never.
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


def describe_tracklets(boxes: pd.DataFrame, recording: Recording, times: FrameTimes) -> pd.DataFrame:
    """The table of a gallery for the boxes of :func:`split_tracks`; identities are not known.

    Args:
        boxes: of one video, with the column ``cut``.
        recording: the video.
        times: of its frames.
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
        start=times.starts(table["first"].to_numpy()),
        end=times.ends(table["last"].to_numpy()),
        identity=None,
    )
    return table.reset_index(drop=True)
