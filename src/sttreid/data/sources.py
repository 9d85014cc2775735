"""Camera videos with their tracks, and the reader of the layout "cameras", which decodes no video.

That layout is a folder of whole-camera videos with their tracks, and a manifest that names them::

    manifest.json   {"format": "sttreid-cameras/1", "name": "campus",
                     "gap": 3,
                     "cameras": {"c1": {"frames": 812, "sha256_video": "...", "sha256_tracks": "..."}, ...},
                     "splits": {"train": [1, 2], "validation": [3], "test": [4, 5], "distractors": [6]}}
    c1.mp4 c1.txt   one camera; its number is the digits at the end of its name; tracks as in sttreid.data.mot

Three members may be missing: the checksums; ``gap``, after which a track breaks into two tracklets; and the
distractors, people who stand in the gallery of the test and are never asked for. Others are ignored.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sttreid.data.mot import read_tracks
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import DISTRACTORS, SPLITS

FORMAT = "sttreid-cameras/1"
MANIFEST = "manifest.json"
COLUMNS = ["camera", "frame", "identity", "left", "top", "width", "height", "visibility", "split", "line"]


@dataclass(frozen=True)
class Camera:
    """One camera: its video, or the folder of its pictures, has ``frames`` frames; its tracks are a text."""

    number: int
    video: Path
    tracks: Path
    frames: int


@dataclass(frozen=True, eq=False)
class CameraFolder:
    """A checked data set of whole-camera videos.

    Attributes:
        detections: one row a box, sorted by camera and then in the order of the tracks file, with the columns
            ``COLUMNS``: frame from 1 in its video, box in pixels, visibility 0 to 1, line from 1 in its
            tracks file.
        gap: frames from one box of a tracklet to its next at most; None: a tracklet is all that a camera saw
            of an identity.
    """

    folder: Path
    name: str
    cameras: tuple[Camera, ...]
    detections: pd.DataFrame
    gap: int | None


def read_cameras(folder: Path) -> CameraFolder:
    """Read and check a folder in the layout "cameras"; no video is decoded.

    Raises:
        InputError: a file is missing, differs from the manifest's checksum or breaks a rule of its format; an
            identity stands in no split, in two, in no line or, if it is no distractor, before only one
            camera; a split other than the distractors is empty; the gap is below 1.
    """
    path = folder / MANIFEST
    manifest = _manifest(path)
    splits = _splits(path, _member(path, manifest, "splits", dict))
    cameras = _cameras(folder, path, _member(path, manifest, "cameras", dict))
    tables = [read_tracks(camera.tracks, camera.frames).assign(camera=camera.number) for camera in cameras]
    detections = pd.concat(tables, ignore_index=True)
    detections["split"] = detections["identity"].map(splits)
    _check_strangers(path, cameras, detections)
    _check_seen(path, splits, detections)
    name, gap = _member(path, manifest, "name", str), _gap(path, manifest)
    return CameraFolder(folder, name, cameras, detections[COLUMNS], gap)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: the manifest of the data set is missing") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the manifest cannot be read as JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{path}: format must be {FORMAT!r}, got {found!r}")
    return content


def _member(path: Path, content: dict[str, Any], key: str, kind: type) -> Any:
    """A manifest's member of a given JSON type; true and false are not numbers here."""
    if key not in content:
        raise InputError(f"{path}: the key {key!r} is missing")
    value = content[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"{path}: {key!r} must be of type {kind.__name__}, got {value!r}")
    return value


def _gap(path: Path, manifest: dict[str, Any]) -> int | None:
    if "gap" not in manifest:
        return None
    gap: int = _member(path, manifest, "gap", int)
    if gap < 1:
        raise InputError(f"{path}: 'gap' must be at least 1, got {gap}")
    return gap


def _splits(path: Path, content: dict[str, Any]) -> dict[int, str]:
    """Identity -> the one split that it stands in."""
    splits: dict[int, str] = {}
    unknown = sorted(set(content) - set(SPLITS))
    if unknown:
        raise InputError(f"{path}: splits must be {', '.join(SPLITS)}, got {', '.join(unknown)}")
    for split in SPLITS:
        if split == DISTRACTORS and split not in content:
            continue
        identities = _member(path, content, split, list)
        if not identities and split != DISTRACTORS:
            raise InputError(f"{path}: the split {split!r} must hold at least one identity, got none")
        for identity in identities:
            if type(identity) is not int:
                raise InputError(f"{path}: identities of {split!r} must be integers, got {identity!r}")
            if identity in splits:
                earlier = splits[identity]
                raise InputError(f"{path}: identity {identity} stands in {earlier!r} and again in {split!r}")
            splits[identity] = split
    return splits


def _cameras(folder: Path, path: Path, content: dict[str, Any]) -> tuple[Camera, ...]:
    """The cameras by ascending number, their files checked."""
    cameras: dict[int, Camera] = {}
    for stem in content:
        digits = re.search(r"\d+$", stem)
        if digits is None or Path(stem).name != stem:
            raise InputError(f"{path}: a camera must be named as its files and end in digits, got {stem!r}")
        number = int(digits.group())
        if number in cameras:
            earlier = cameras[number].video.stem
            raise InputError(f"{path}: camera numbers must differ, got {earlier!r} and {stem!r}")
        cameras[number] = _camera(folder / stem, number, path, _member(path, content, stem, dict))
    if not cameras:
        raise InputError(f"{path}: 'cameras' must name at least one camera, got none")
    return tuple(cameras[number] for number in sorted(cameras))


def _camera(base: Path, number: int, path: Path, entry: dict[str, Any]) -> Camera:
    frames = _member(path, entry, "frames", int)
    if frames < 1:
        raise InputError(f"{path}: 'frames' of camera {base.name!r} must be at least 1, got {frames}")
    camera = Camera(number, base.with_name(f"{base.name}.mp4"), base.with_name(f"{base.name}.txt"), frames)
    for file, key in ((camera.video, "sha256_video"), (camera.tracks, "sha256_tracks")):
        if not file.is_file():
            raise InputError(f"{file}: the manifest names this file, but it is missing")
        if key in entry:
            _check_sum(file, key, _member(path, entry, key, str))
    return camera


def _check_sum(file: Path, key: str, expected: str) -> None:
    """A damaged video can decode without an error, into concealed pixels: only its checksum tells."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise InputError(f"{file}: the checksum must be the manifest's {key} {expected}, got {found}")


def _check_strangers(path: Path, cameras: tuple[Camera, ...], detections: pd.DataFrame) -> None:
    strangers = detections[detections["split"].isna()]
    if len(strangers):
        number, line, identity = strangers[["camera", "line", "identity"]].iloc[0].tolist()
        tracks = next(camera.tracks for camera in cameras if camera.number == number)
        raise InputError(f"{tracks}:{line}: every identity must stand in a split of {path}, got {identity}")


def _check_seen(path: Path, splits: dict[int, str], detections: pd.DataFrame) -> None:
    """Who is asked for must stand before two cameras: with one, no match could ever be right."""
    cameras = detections.groupby("identity")["camera"].unique()
    for identity, split in splits.items():
        seen = cameras.get(identity, ())
        if len(seen) == 0:
            raise InputError(f"{path}: identity {identity} of the split {split!r} must have a line, got none")
        if len(seen) == 1 and split != DISTRACTORS:
            raise InputError(
                f"{path}: identity {identity} of the split {split!r} must be seen by at least two cameras, "
                f"got only camera {seen[0]}"
            )
