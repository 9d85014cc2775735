"""Camera videos with a manifest that declares cameras and splits, as rendered by the simulator.

The folder holds, next to the manifest, a video and a tracks file per camera::

    manifest.json   {"format": "sttreid-cameras/1", "name": "campus",
                     "gap": 3,
                     "cameras": {"c1": {"frames": 812, "sha256_video": "...", "sha256_tracks": "..."}, ...},
                     "splits": {"train": [1, 2], "validation": [3], "test": [4, 5], "distractors": [6]}}
    c1.mp4 c1.txt   the camera's number is the digits at the end of its name; tracks: as MOTChallenge's

Optional members: the checksums; ``gap``, the most frames from one box of a tracklet to the next; and
``distractors``, identities of the test's gallery that are never queries. Other members are ignored.
Identities are numbers of any size or text; if the store cannot hold one, all are numbered anew.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic.dataclasses import dataclass

from sttreid.config.datasets import CONFIG, OnError
from sttreid.config.track_format import Plausibility
from sttreid.data.camera_videos import COLUMNS, Camera, CameraVideos, LeftOut
from sttreid.data.crops import visible_part
from sttreid.data.footage_files import VIDEOS
from sttreid.data.frame_sizes import video_size
from sttreid.data.registry import Reader, ReadSettings
from sttreid.data.tracks.identities import describe_numbering, number_identities, read_identity
from sttreid.data.tracks.plausibility import check_boxes
from sttreid.data.tracks.reading import LARGEST, Boxes, Identity
from sttreid.data.tracks.sources import read_tracks
from sttreid.runtime.documents import check_path
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.tracklets.store import DISTRACTORS, SPLITS

FORMAT: Final = "sttreid-cameras/1"
MANIFEST: Final = "manifest.json"
LONGEST: Final = max((*VIDEOS, ".txt"), key=len)  # suffix of a camera's files
TRACK_TABLE: Final = "tracks.csv"  # the simulator's table of tracks, with the orientation of each


@dataclass(frozen=True, config=CONFIG)
class OwnTracks:
    """What may be declared of tracks whose format is fixed: as in ``TrackFormat``."""

    plausibility: Plausibility = "raise"


@dataclass(frozen=True, config=CONFIG)
class CamerasOptions:
    """Options of camera videos with a manifest.

    Attributes:
        tracks: what is declared of the tracks.
    """

    tracks: OwnTracks = field(default_factory=OwnTracks)


NOTHING_DECLARED: Final = CamerasOptions()


def read_cameras(
    folder: Path, options: CamerasOptions = NOTHING_DECLARED, on_error: OnError = "raise"
) -> CameraVideos:
    """Read and check such a folder; of each video at most the first frame is decoded.

    Args:
        folder: that holds the manifest.
        options: what is declared.
        on_error: whether an empty box, one beyond the last frame, or one outside of the picture is an error;
            with ``skip``, the first two are left out and counted, and decoding lists the last.

    Raises:
        InputError: a file is missing, differs from the manifest's checksum or breaks a rule of its format; an
            identity is in no split, in two, or in no line; a non-distractor identity appears in a single
            camera; a split other than the distractors is empty; the gap is below 1.
    """
    path = folder / MANIFEST
    manifest = _read_manifest(path)
    splits = _splits(path, _member(path, manifest, "splits", dict))
    cameras = _cameras(folder, path, _member(path, manifest, "cameras", dict))
    read = [read_tracks(camera.tracks, camera.frames, on_error) for camera in cameras]
    tables = [tracks.table.assign(camera=camera.number) for camera, tracks in zip(cameras, read, strict=True)]
    boxes = pd.concat(tables, ignore_index=True)
    boxes["split"] = boxes["identity"].map(splits)
    _check_unlisted(path, cameras, boxes)
    _check_cameras(path, splits, boxes)
    numbers = number_identities(splits, LARGEST + 1, str(path))
    boxes["identity"] = boxes["identity"].map(numbers)
    remarks, warnings = _check_boxes(cameras, read, options, on_error)
    renumbered = describe_numbering(numbers)
    return CameraVideos(
        folder,
        _member(path, manifest, "name", str),
        cameras,
        boxes[COLUMNS],
        _gap(path, manifest),
        None if renumbered else folder / TRACK_TABLE,  # which has the identities of the tracks
        (*remarks, *renumbered),
        warnings,
        tuple(_left_out(cameras, read)),
    )


def _read(folder: Path, options: CamerasOptions, settings: ReadSettings) -> CameraVideos:
    return read_cameras(folder, options, settings.on_error)


READER = Reader(name="cameras", read=_read, protocol="embedded", options=CamerasOptions)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path}: the manifest of the data set is missing")
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        value = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{path}: format must be {FORMAT!r}, got {value!r}")
    return content


def _member(path: Path, content: dict[str, Any], key: str, kind: type) -> Any:
    """A member of a given JSON type; true and false are not numbers here."""
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
    if gap > LARGEST:
        raise InputError(f"{path}: 'gap' must be at most {LARGEST}, got {gap}")
    return gap


def _splits(path: Path, content: dict[str, Any]) -> dict[Identity, str]:
    """Identity -> its split."""
    splits: dict[Identity, str] = {}
    unknown = sorted(set(content) - set(SPLITS))
    if unknown:
        raise InputError(f"{path}: splits must be {', '.join(SPLITS)}, got {', '.join(unknown)}")
    for split in SPLITS:
        if split == DISTRACTORS and split not in content:
            continue
        identities = _member(path, content, split, list)
        if not identities and split != DISTRACTORS:
            raise InputError(f"{path}: the split {split!r} must hold at least one identity, got none")
        for value in identities:
            if type(value) not in (int, str):
                raise InputError(f"{path}: identities of {split!r} must be integers or text, got {value!r}")
            identity = value if type(value) is int else read_identity(value)
            if identity in splits:
                rule = "an identity must be in one split"
                raise InputError(f"{path}: {rule}, got {identity} in {splits[identity]!r} and in {split!r}")
            splits[identity] = split
    return splits


def _cameras(folder: Path, path: Path, content: dict[str, Any]) -> tuple[Camera, ...]:
    """The cameras by ascending number, their files checked."""
    cameras: dict[int, Camera] = {}
    for stem in content:
        check_path(path, f"{stem}{LONGEST}")
        digits = re.search(r"\d+$", stem)
        if digits is None or Path(stem).name != stem:
            raise InputError(f"{path}: a camera must be named as its files and end in digits, got {stem!r}")
        number = int(digits.group())
        if number > LARGEST:
            raise InputError(f"{path}: a camera's number must be at most {LARGEST}, got {stem!r}")
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
    if frames > LARGEST:
        raise InputError(f"{path}: 'frames' of camera {base.name!r} must be at most {LARGEST}, got {frames}")
    videos = [base.with_name(f"{base.name}{suffix}") for suffix in VIDEOS]
    found = [path for path in videos if path.is_file()] or videos[:1]
    if len(found) > 1:
        raise InputError(f"{found[1]}: a camera must have one video, got also {found[0].name}")
    video = found[0]
    camera = Camera(number, video, base.with_name(f"{base.name}.txt"), frames)
    for file, key in ((camera.video, "sha256_video"), (camera.tracks, "sha256_tracks")):
        if not file.is_file():
            raise InputError(f"{file}: the manifest names this file, but it is missing")
        if key in entry:
            _check_sum(file, key, _member(path, entry, key, str))
    return camera


def _check_sum(file: Path, key: str, expected: str) -> None:
    """A damaged video may decode without an error, into concealed pixels; only the checksum detects that."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != expected:
        raise InputError(f"{file}: the checksum must be the manifest's {key} {expected}, got {digest}")


def _check_boxes(
    cameras: Sequence[Camera], read: Sequence[Boxes], options: CamerasOptions, on_error: OnError
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remarks on the boxes of each camera, and warnings; InputError if they cannot be in pixels."""
    remarks, warnings = [], []
    for camera, tracks in zip(cameras, read, strict=True):
        size = video_size(camera.video)
        checked = check_boxes(camera.tracks, tracks.table, size, camera.frames, options.tracks.plausibility)
        if checked.left_out and size is not None and on_error == "raise":
            _check_visible(camera, tracks.table, size)
        where = f"camera {camera.number} ({camera.tracks.name})"
        remarks.append(f"{where}: {tracks.account}; {checked.statement}")
        warnings += [f"{where}: {text}" for text in checked.warnings]
    return tuple(remarks), tuple(warnings)


def _check_visible(camera: Camera, table: pd.DataFrame, size: tuple[int, int]) -> None:
    """Raise InputError for the first box that gives no crop."""
    columns = ["line", "left", "top", "width", "height"]
    for line, *box in table[columns].itertuples(index=False, name=None):
        try:
            visible_part((box[0], box[1], box[2], box[3]), *size)
        except InputError as error:
            raise InputError(f"{camera.tracks}:{line}: {error}") from None


def _left_out(cameras: Sequence[Camera], read: Sequence[Boxes]) -> Iterator[LeftOut]:
    for camera, tracks in zip(cameras, read, strict=True):
        for reason, count in tracks.account.left_out.items():
            yield LeftOut(camera.tracks.name, reason, count)


def _check_unlisted(path: Path, cameras: tuple[Camera, ...], boxes: pd.DataFrame) -> None:
    unlisted = boxes[boxes["split"].isna()]
    if len(unlisted):
        number, line, identity = unlisted[["camera", "line", "identity"]].iloc[0].tolist()
        tracks = next(camera.tracks for camera in cameras if camera.number == number)
        raise InputError(f"{tracks}:{line}: every identity must be in a split of {path}, got {identity}")


def _check_cameras(path: Path, splits: Mapping[Identity, str], boxes: pd.DataFrame) -> None:
    """Every non-distractor identity must have two cameras, or its queries have no match."""
    cameras = boxes.groupby("identity")["camera"].unique()
    for identity, split in splits.items():
        seen = cameras.get(identity, ())
        if len(seen) == 0:
            raise InputError(f"{path}: identity {identity} of the split {split!r} must have a line, got none")
        if len(seen) == 1 and split != DISTRACTORS:
            raise InputError(
                f"{path}: identity {identity} of the split {split!r} must be seen by at least two cameras, "
                f"got only camera {seen[0]}"
            )
