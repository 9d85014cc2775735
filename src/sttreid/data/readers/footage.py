"""User footage: camera videos with tracks and without a manifest; also MOTChallenge sequences.

::

    hall.mp4  hall.txt            one camera: its video (.mp4, .mkv, .mov or .avi) and its tracks
    lobby/gt/gt.txt               one camera: a MOTChallenge sequence, optionally with
    lobby/seqinfo.ini               the folder of its images (imDir) and their number (seqLength)
    lobby/img1/000001.jpg           its frames, or one video instead of the folder

One folder may hold both kinds. Boxes are in pixels of the upright image. Lines that MOTChallenge ignores
(confidence 0, a class other than 1) are ignored. Cameras are numbered by the digits at the end of their names
if all names end in different numbers, else 1, 2, ... in the order of the names.

Splits are random (our choice: share and seed): a fraction ``test`` of the identities that several cameras see
becomes the test set, at least one; the same fraction of the single-camera identities become gallery
distractors, since they have no cross-camera match. All others train, and a part of them validates, as in
published sets.
"""

import configparser
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from sttreid.config.datasets import CONFIG, Validation
from sttreid.data.camera_frames import list_image_sequence
from sttreid.data.camera_videos import COLUMNS, Camera, CameraVideos
from sttreid.data.folder_listing import check_relative, natural_key, shorten, subfolders
from sttreid.data.registry import Reader, ReadSettings
from sttreid.data.splits import validation_identities
from sttreid.data.track_files import read_tracks
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import DISTRACTORS, TEST

VIDEOS: Final = (".mp4", ".mkv", ".mov", ".avi")
TRACKS: Final = "gt/gt.txt"
PER_CAMERA: Final = 1_000_000  # scope per_camera: identity = index of the camera * this + number


@dataclass(frozen=True, config=CONFIG)
class FootageOptions:
    """Options of footage.

    Attributes:
        max_frame_gap: from one box of a tracklet to the next, in frames, at most.
        test: share of the multi-camera identities that becomes the test set; 0: the set only trains.
        identity_scope: ``global``: a number in the tracks is the same identity in all cameras;
            ``per_camera``: numbers are independent per camera, so no identity appears in two cameras and the
            set is for training only.
    """

    max_frame_gap: Annotated[int, Field(ge=1)]
    test: Annotated[float, Field(ge=0, lt=1)]
    identity_scope: Literal["global", "per_camera"]

    @field_validator("identity_scope")
    @classmethod
    def _per_camera_only_trains(cls, value: str, info: ValidationInfo) -> str:
        test = info.data.get("test")
        if value == "per_camera" and test:
            raise ValueError(f"per_camera gives no identity two cameras, so test must be 0, got test {test}")
        return value


def read_footage(folder: Path, options: FootageOptions, validation: Validation) -> CameraVideos:
    """Read and check a folder of footage; of each video at most the first frame is decoded.

    Args:
        folder: that holds the cameras.
        options: how identities and tracklets are formed, and how large the test is.
        validation: which training identities validate; its seed draws the test too.

    Raises:
        InputError: there is no camera; a video has no tracks or tracks have no video; a file breaks a rule of
            its format or leads out of the folder; an identity is negative; no identity is left to test or
            train.
    """
    cameras = _number(dict(sorted(_cameras(folder).items(), key=lambda pair: natural_key(pair[0]))))
    tables = []
    for index, camera in enumerate(cameras):
        table = read_tracks(camera.tracks, camera.frames, all_lines=False).assign(camera=camera.number)
        _check_identities(camera.tracks, table)
        offset = index * PER_CAMERA if options.identity_scope == "per_camera" else 0
        if len(table):
            tables.append(table.assign(identity=table["identity"] + offset))
    if not tables:  # some cameras may see no pedestrian, but not all of them
        raise InputError(f"{folder}: the tracks must hold at least one pedestrian, got none")
    boxes = pd.concat(tables, ignore_index=True)
    boxes["split"] = boxes["identity"].map(_splits(folder, boxes, options.test, validation))
    return CameraVideos(folder, folder.name, cameras, boxes[COLUMNS], options.max_frame_gap)


def _read(folder: Path, options: FootageOptions, settings: ReadSettings) -> CameraVideos:
    return read_footage(folder, options, settings.validation)


READER = Reader(
    name="footage",
    read=_read,
    protocol="market",
    options=FootageOptions,
    usual={"max_frame_gap": 10, "test": 0.5, "identity_scope": "global"},
)


def _cameras(folder: Path) -> dict[str, Camera]:
    """Name -> camera, not numbered yet."""
    if not folder.is_dir():
        raise InputError(f"{folder}: the folder of the footage does not exist")
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    videos = _videos(files)
    sequences = [path for path in subfolders(folder) if _is_sequence(path)]
    stems = [path.stem for path in videos] + [path.name for path in sequences]
    for stem in stems:
        if stems.count(stem) > 1:
            raise InputError(f"{folder}: a camera must have one video, got {stem!r} twice")
    for text in (path for path in files if path.suffix == ".txt"):
        if text.stem not in {path.stem for path in videos}:
            raise InputError(f"{text}: tracks must have a video of the same name in the folder, got none")
    if not stems:
        raise InputError(
            f"{folder}: looked for <camera>.mp4 with <camera>.txt, or <sequence>/{TRACKS},"
            f" found {_content(folder)}"
        )
    cameras = {path.stem: Camera(0, path, path.with_suffix(".txt"), count_frames(path)) for path in videos}
    return cameras | {path.name: _sequence(path) for path in sequences}


def _content(folder: Path) -> str:
    return shorten(sorted(path.name for path in folder.iterdir()))


def _videos(files: Iterable[Path]) -> list[Path]:
    return sorted(path for path in files if path.suffix.lower() in VIDEOS)


def _is_sequence(folder: Path) -> bool:
    """Whether a folder is a MOTChallenge sequence; InputError for a sequence without identities."""
    if (folder / TRACKS).is_file():
        return True
    if (folder / "seqinfo.ini").is_file() or (folder / "det" / "det.txt").is_file():
        raise InputError(f"{folder}: a sequence must have {TRACKS}: detections (det/) have no identities")
    return False


def _sequence(folder: Path) -> Camera:
    """A MOTChallenge sequence: its images, or its only video."""
    images, length = _seqinfo(folder / "seqinfo.ini")
    if (folder / images).is_dir():
        last = max(list_image_sequence(folder / images))
        return Camera(0, folder / images, folder / TRACKS, length or last)
    videos = _videos(path for path in folder.iterdir() if path.name[0] != ".")
    if len(videos) != 1:
        raise InputError(
            f"{folder}: a sequence must hold its images in {images}/ or one video, found {_content(folder)}"
        )
    return Camera(0, videos[0], folder / TRACKS, count_frames(videos[0]))


def _seqinfo(path: Path) -> tuple[str, int]:
    """The folder of the images and their number, 0 where the file does not say."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig") if path.exists() else "[Sequence]")
        section = parser["Sequence"]
        length = section.getint("seqLength", 0)
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: must be an INI file with the section Sequence ({reason})") from error
    return check_relative(str(path), section.get("imDir", "img1")).as_posix(), length


def _number(cameras: dict[str, Camera]) -> tuple[Camera, ...]:
    """The cameras, numbered by the digits at the end of all names, else by their order."""
    ends = [re.search(r"(?<!\d)\d{1,9}$", name, re.ASCII) for name in cameras]
    numbers = [int(end.group()) for end in ends if end is not None]
    if len(set(numbers)) < len(cameras):
        numbers = list(range(1, len(cameras) + 1))
    numbered = [replace(camera, number=n) for n, camera in zip(numbers, cameras.values(), strict=True)]
    return tuple(sorted(numbered, key=lambda camera: camera.number))


def _check_identities(path: Path, table: pd.DataFrame) -> None:
    wrong = table[(table["identity"] < 0) | (table["identity"] >= PER_CAMERA)]
    if len(wrong):
        line, identity = wrong[["line", "identity"]].iloc[0].tolist()
        rule = f"an identity must be between 0 and {PER_CAMERA - 1}"
        raise InputError(f"{path}:{line}: {rule}, got {identity}")


def _splits(folder: Path, boxes: pd.DataFrame, test: float, validation: Validation) -> dict[int, str]:
    """Identity -> its split."""
    cameras = boxes.groupby("identity")["camera"].nunique()
    split = pd.Series("train", index=cameras.index)
    if test:
        rng = np.random.default_rng(validation.seed)
        multi, single = (rng.permutation(cameras.index[chosen]) for chosen in (cameras > 1, cameras == 1))
        if not len(multi):
            rule = "a test needs an identity that two cameras see (or set test to 0)"
            raise InputError(f"{folder}: {rule}, got {len(single)} identities of one camera each")
        split[multi[: max(1, round(test * len(multi)))]] = TEST
        split[single[: round(test * len(single))]] = DISTRACTORS
    table = boxes.assign(split=boxes["identity"].map(split), length=1)
    split[validation_identities(table, validation)] = "validation"
    return {int(identity): str(name) for identity, name in split.items()}
