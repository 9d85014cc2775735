"""A user's own footage: camera videos with their tracks, without a manifest; MOTChallenge sequences too.

::

    hall.mp4  hall.txt            one camera: its video (.mp4, .mkv, .mov or .avi) and its tracks
    lobby/gt/gt.txt               one camera: a MOTChallenge sequence, with
    lobby/seqinfo.ini               maybe the folder of its pictures (imDir) and their number (seqLength)
    lobby/img1/000001.jpg           its frames, or one video in place of the folder

Both may stand in one folder. Boxes are in pixels of the upright picture. Lines that MOTChallenge does not
consider (confidence 0, a class other than 1) are passed over. A camera's number is that at the end of its
name if all of them end in different ones, else its place in the order of the names, from 1.

Nobody says who trains, so people are drawn (C: the share and the seed): of those whom two cameras saw a share
is the test, at least one; of those whom one camera saw the same share stands in the test's gallery as
distractors, as no answer to them could be right. All others train, and some of these validate, as in
published sets.
"""

import configparser
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.config.datasets import CAMERAS, Dataset, Validation
from sttreid.data.arrangement import held_out
from sttreid.data.mot import read_tracks
from sttreid.data.readers.folders import inside, natural, some, subfolders
from sttreid.data.sources import COLUMNS, Camera, CameraFolder, read_cameras
from sttreid.data.stills import list_stills
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import DISTRACTORS, TEST

VIDEOS: Final = (".mp4", ".mkv", ".mov", ".avi")
TRUTH: Final = "gt/gt.txt"
OWN: Final = 1_000_000  # where cameras count for themselves: identity = place of the camera * this + number


def read_footage(folder: Path, dataset: Dataset, validation: Validation) -> CameraFolder:
    """Read and check a folder of footage; of a video no more than its first frame is decoded.

    Args:
        folder: that holds the cameras.
        dataset: its options: gap, test and numbers.
        validation: which of the people who train validate; its seed draws the test too.

    Raises:
        InputError: there is no camera; a video has no tracks or tracks have no video; a file breaks a rule of
            its format or leads out of the folder; an identity is negative; there is nobody to test or train.
    """
    cameras = _numbered(dict(sorted(_cameras(folder).items(), key=lambda pair: natural(pair[0]))))
    tables = []
    for place, camera in enumerate(cameras):
        table = read_tracks(camera.tracks, camera.frames, all_lines=False).assign(camera=camera.number)
        _check_identities(camera.tracks, table)
        own = place * OWN if dataset.numbers == "own" else 0
        tables += [table.assign(identity=table["identity"] + own)] if len(table) else []
    if not tables:  # one camera may have seen nobody, not all of them
        raise InputError(f"{folder}: the tracks must hold at least one pedestrian, got none")
    detections = pd.concat(tables, ignore_index=True)
    detections["split"] = detections["identity"].map(_splits(folder, detections, dataset, validation))
    return CameraFolder(folder, folder.name, cameras, detections[COLUMNS], dataset.gap)


def read_videos(folder: Path, dataset: Dataset, validation: Validation) -> CameraFolder:
    """Read a set of camera videos, with a manifest or without; InputError as its reader."""
    return read_cameras(folder) if dataset.reader == CAMERAS else read_footage(folder, dataset, validation)


def _cameras(folder: Path) -> dict[str, Camera]:
    """Name -> camera, not yet numbered."""
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
            raise InputError(f"{text}: tracks must have a video of the same name beside them, got none")
    if not stems:
        raise InputError(
            f"{folder}: looked for <camera>.mp4 with <camera>.txt, or <sequence>/{TRUTH},"
            f" found {_found(folder)}"
        )
    made = {path.stem: Camera(0, path, path.with_suffix(".txt"), count_frames(path)) for path in videos}
    return made | {path.name: _sequence(path) for path in sequences}


def _found(folder: Path) -> str:
    return some(sorted(path.name for path in folder.iterdir()))


def _videos(files: Iterable[Path]) -> list[Path]:
    return sorted(path for path in files if path.suffix.lower() in VIDEOS)


def _is_sequence(folder: Path) -> bool:
    """Whether a folder is a MOTChallenge sequence; InputError if it is one that says nobody's identity."""
    if (folder / TRUTH).is_file():
        return True
    if (folder / "seqinfo.ini").is_file() or (folder / "det" / "det.txt").is_file():
        raise InputError(f"{folder}: a sequence must have {TRUTH}: bare detections (det/) name no identity")
    return False


def _sequence(folder: Path) -> Camera:
    """A MOTChallenge sequence: its pictures, or its only video."""
    pictures, length = _seqinfo(folder / "seqinfo.ini")
    if (folder / pictures).is_dir():
        last = max(list_stills(folder / pictures))
        return Camera(0, folder / pictures, folder / TRUTH, length or last)
    videos = _videos(path for path in folder.iterdir() if path.name[0] != ".")
    if len(videos) != 1:
        raise InputError(
            f"{folder}: a sequence must hold its pictures in {pictures}/ or one video, found {_found(folder)}"
        )
    return Camera(0, videos[0], folder / TRUTH, count_frames(videos[0]))


def _seqinfo(path: Path) -> tuple[str, int]:
    """The folder of the pictures and their number, 0 if it is not said."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig") if path.exists() else "[Sequence]")
        section = parser["Sequence"]
        length = section.getint("seqLength", 0)
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: must be an INI file with the section Sequence ({reason})") from error
    return inside(str(path), section.get("imDir", "img1")).as_posix(), length


def _numbered(cameras: dict[str, Camera]) -> tuple[Camera, ...]:
    """By the numbers that all names end in, else by place."""
    ends = [re.search(r"(?<!\d)\d{1,9}$", name, re.ASCII) for name in cameras]
    numbers = [int(end.group()) for end in ends if end is not None]
    if len(set(numbers)) < len(cameras):
        numbers = list(range(1, len(cameras) + 1))
    made = [replace(camera, number=n) for n, camera in zip(numbers, cameras.values(), strict=True)]
    return tuple(sorted(made, key=lambda camera: camera.number))


def _check_identities(path: Path, table: pd.DataFrame) -> None:
    wrong = table[(table["identity"] < 0) | (table["identity"] >= OWN)]
    if len(wrong):
        line, identity = wrong[["line", "identity"]].iloc[0].tolist()
        raise InputError(f"{path}:{line}: an identity must be between 0 and {OWN - 1}, got {identity}")


def _splits(folder: Path, rows: pd.DataFrame, dataset: Dataset, validation: Validation) -> dict[int, str]:
    """Identity -> its split."""
    seen = rows.groupby("identity")["camera"].nunique()
    split = pd.Series("train", index=seen.index)
    if dataset.test:
        rng = np.random.default_rng(validation.seed)
        several, alone = (rng.permutation(seen.index[chosen]) for chosen in (seen > 1, seen == 1))
        if not len(several):
            rule = "a test needs a person whom two cameras saw (or set test to 0)"
            raise InputError(f"{folder}: {rule}, got {len(alone)} of one camera each")
        split[several[: max(1, round(dataset.test * len(several)))]] = TEST
        split[alone[: round(dataset.test * len(alone))]] = DISTRACTORS
    table = rows.assign(split=rows["identity"].map(split), length=1)
    split[held_out(table, validation)] = "validation"
    return {int(identity): str(name) for identity, name in split.items()}
