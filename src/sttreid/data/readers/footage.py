"""User footage: camera videos with tracks and without a manifest; also MOTChallenge sequences.

::

    hall.mp4  hall.txt            one camera: its video and its tracks (.txt, .csv, .tsv)
    labels/hall_1.txt, ...          or the boxes of each frame, as ultralytics writes them
    cam1_0001.mp4, cam1_0002.mp4  one camera in two files (sttreid.data.segments)
    lobby/gt/gt.txt               one camera: a MOTChallenge sequence, optionally with
    lobby/gt/labels.txt             the names of the classes (CVAT, Datumaro)
    lobby/seqinfo.ini               the folder of its images (imDir) and their number (seqLength)
    lobby/img1/000001.jpg           its frames, or one video instead of the folder
    yard/000001.jpg  yard.txt     one camera: images and tracks

One folder may hold all kinds. Boxes are in pixels of the upright image. Flavour, first frame and plausibility
of the tracks: :mod:`sttreid.data.tracks`. Cameras are numbered by the digits at the end of their names if all
names end in different numbers, else 1, 2, ... in the order of the names.

Splits are random (our choice: share and seed): a fraction ``test`` of the identities that several cameras see
becomes the test set, at least one; the same fraction of the single-camera identities become gallery
distractors, since they have no cross-camera match. All others train, and a part of them validates, as in
published sets.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from sttreid.config.datasets import CONFIG, OnError, Validation
from sttreid.config.track_format import Plausibility, TrackFormat
from sttreid.data.camera_frames import list_image_sequence
from sttreid.data.camera_videos import COLUMNS, Camera, CameraVideos, LeftOut
from sttreid.data.folder_listing import shorten
from sttreid.data.footage_files import Recording, check_length, check_tracks, find_recordings
from sttreid.data.frame_offset import Sample, check_offset
from sttreid.data.frame_sizes import image_size, video_size
from sttreid.data.registry import Reader, ReadSettings
from sttreid.data.segments import Cameras, group_recordings
from sttreid.data.shared_numbers import warn_of_shared_numbers
from sttreid.data.splits import validation_identities
from sttreid.data.tracks.identities import describe_numbering, number_identities
from sttreid.data.tracks.plausibility import OUT, check_boxes
from sttreid.data.tracks.reading import LARGEST, Identity
from sttreid.data.tracks.sources import ReadTracks, TrackFile, read_all
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.tracklets.store import DISTRACTORS, TEST

PER_CAMERA: Final = 1_000_000  # numbers that do not hold across cameras: identity = index * this + number


@dataclass(frozen=True, config=CONFIG)
class FootageOptions:
    """Options of footage.

    Attributes:
        max_frame_gap: from one box of a tracklet to the next, in frames, at most.
        test: share of the multi-camera identities that becomes the test set; 0: the set only trains.
        identity_scope: ``global``: a number in the tracks is the same identity in all cameras;
            ``per_camera``: numbers are independent per camera, so no identity appears in two cameras and the
            set is for training only; ``per_file``: numbers are independent in each file of a camera too.
        cameras: name of a camera -> its videos in order; empty: their names decide
            (:mod:`sttreid.data.segments`).
        tracks: the format of the tracks; what it leaves out is detected.
    """

    max_frame_gap: Annotated[int, Field(ge=1, le=LARGEST)]
    test: Annotated[float, Field(ge=0, lt=1)]
    identity_scope: Literal["global", "per_camera", "per_file"]
    cameras: dict[str, Annotated[list[str], Field(min_length=1)]] = field(default_factory=dict)
    tracks: TrackFormat = field(default_factory=TrackFormat)

    @field_validator("identity_scope")
    @classmethod
    def _per_camera_only_trains(cls, value: str, info: ValidationInfo) -> str:
        test = info.data.get("test")
        if value != "global" and test:
            raise ValueError(f"{value} gives no identity two cameras, so test must be 0, got test {test}")
        return value


def read_footage(
    folder: Path, options: FootageOptions, validation: Validation, on_error: OnError = "raise"
) -> CameraVideos:
    """Read and check a folder of footage; of a few videos the first frames are decoded, to check the tracks.

    Args:
        folder: that holds the cameras.
        options: how identities and tracklets are formed, and how large the test is.
        validation: which training identities validate; its seed draws the test too.
        on_error: whether an empty box, one beyond the last frame, or a video that cannot be opened is an
            error. With ``skip``, the boxes are left out and counted; those of such a video stay, so that
            decoding lists them.

    Raises:
        InputError: there is no camera; a video has no tracks or tracks have no video; a file breaks a rule of
            its format or leads out of the folder; the boxes cannot be what they are taken for; no identity is
            left to test or train.
    """
    recordings, unused = find_recordings(folder)
    groups, undeclared = group_recordings(folder, recordings, options.cameras)
    files = [_open(number, name, one, on_error) for (number, name), ones in _number(groups) for one in ones]
    read = read_all([file.tracks for file in files], options.tracks, on_error)
    found = _Found(folder, [*_segment_remarks(groups)], _unused(unused, undeclared))
    for file, tracks in zip(files, read, strict=True):
        found.add(file, tracks, options.tracks.plausibility)
    for first_frame, samples in found.samples.items():
        remarks, warnings = check_offset(samples, first_frame)
        found.remarks += remarks
        found.warnings += warnings
    if options.identity_scope != "per_file":
        found.warnings += _shared_numbers(files, found.tables, options.identity_scope)
    boxes = _join(folder, files, found.tables, options.identity_scope, found.remarks)
    boxes["split"] = boxes["identity"].map(_splits(folder, boxes, options.test, validation))
    return CameraVideos(
        folder,
        folder.name,
        tuple(found.cameras),
        boxes[COLUMNS],
        options.max_frame_gap,
        remarks=tuple(found.remarks),
        warnings=tuple(found.warnings),
        left_out=tuple(found.left_out),
    )


def _read(folder: Path, options: FootageOptions, settings: ReadSettings) -> CameraVideos:
    return read_footage(folder, options, settings.validation, settings.on_error)


READER = Reader(
    name="footage",
    read=_read,
    protocol="market",
    options=FootageOptions,
    usual={"max_frame_gap": 10, "test": 0.5, "identity_scope": "global"},
)


@plain_dataclass(frozen=True)
class _File:
    """A recording, its camera's number and name, and why it cannot be opened; None: it can."""

    number: int
    camera: str
    recording: Recording
    tracks: TrackFile
    fault: str | None = None


@plain_dataclass
class _Found:
    """What the files hold so far; the samples by the number that the tracks give to the first frame."""

    folder: Path
    remarks: list[str]
    warnings: list[str]
    cameras: list[Camera] = field(default_factory=list)
    tables: list[pd.DataFrame] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def add(self, file: _File, tracks: ReadTracks, plausibility: Plausibility) -> None:
        """Check the boxes of a file and add them."""
        picture, frames = file.tracks.picture, tracks.numbering.frames
        table, places = tracks.boxes.table, file.tracks.places()
        checked = check_boxes(file.tracks.path, table, picture, frames, plausibility, places)
        account = tracks.boxes.account.without(checked.left_out, OUT)
        path = file.tracks.path.relative_to(self.folder)
        where = f"camera {file.number} ({path})"
        said = (*tracks.warnings, *checked.warnings, *_other_size(file), *_unopened(file))
        self.remarks += [f"{where}: {account}; {tracks.statement}", f"{where}: {checked.statement}"]
        self.warnings += [f"{where}: {text}" for text in said]
        self.left_out += [LeftOut(str(path), reason, count) for reason, count in account.left_out.items()]
        camera = _camera(file, tracks, self.cameras)
        self.cameras.append(camera)
        self.tables.append(checked.table.assign(camera=file.number, before=camera.before))
        if picture is not None and len(checked.table):
            sample = Sample(camera, checked.table, picture)
            self.samples.setdefault(tracks.numbering.first_frame, []).append(sample)


def _number(cameras: Cameras) -> list[tuple[tuple[int, str], list[Recording]]]:
    """The cameras, numbered by the digits at the end of all names, else by their order."""
    ends = [re.search(r"(?<!\d)\d{1,9}$", name, re.ASCII) for name in cameras]
    numbers = [int(end.group()) for end in ends if end is not None]
    if len(set(numbers)) < len(cameras):
        numbers = list(range(1, len(cameras) + 1))
    numbered = zip(zip(numbers, cameras, strict=True), cameras.values(), strict=True)
    return sorted(numbered, key=lambda entry: entry[0])


def _open(number: int, camera: str, recording: Recording, on_error: OnError) -> _File:
    """Count the frames of a recording and look at the first.

    Raises:
        InputError: it has no tracks; it cannot be opened and ``on_error`` is ``raise``.
    """
    check_tracks(recording)
    video, fault = recording.video, None
    frames: int | None
    if not video.is_dir():
        try:
            frames, first, picture = count_frames(video, on_error), None, video_size(video)
        except PlaceError as error:
            if on_error == "raise":
                raise
            frames, first, picture, fault = None, None, None, error.reason
    else:
        images = list_image_sequence(video)
        first, last = min(images), max(images)
        check_length(recording, last)
        frames = recording.length + first - 1 if recording.length and first <= 1 else last
        picture = image_size(images[first])
    tracks = TrackFile(recording.tracks, frames, first, recording.labels, recording.name, picture)
    return _File(number, camera, recording, tracks, fault)


def _camera(file: _File, tracks: ReadTracks, earlier: Sequence[Camera]) -> Camera:
    """The file as a part of its camera, after its earlier files."""
    before = sum(camera.frames for camera in earlier if camera.number == file.number)
    frames = tracks.numbering.frames
    if before + frames > LARGEST:
        raise InputError(
            f"{file.recording.video}: a camera must have at most {LARGEST} frames, got {before + frames}"
        )
    video, path = file.recording.video, file.tracks.path
    return Camera(file.number, video, path, frames, before, tracks.numbering.start)


def _other_size(file: _File) -> Iterator[str]:
    """A warning if seqinfo.ini gives another size than the pictures have."""
    declared, picture = file.recording.declared, file.tracks.picture
    if declared and picture and declared != picture:
        sizes = f"{declared[0]} x {declared[1]} in seqinfo.ini, {picture[0]} x {picture[1]} in the pictures"
        yield f"the boxes may be of another size: {sizes}"


def _unopened(file: _File) -> Iterator[str]:
    if file.fault is not None:
        yield f"{file.recording.video.name} {file.fault}: none of its boxes has an image"


def _segment_remarks(groups: Cameras) -> Iterator[str]:
    for name, recordings in groups.items():
        if len(recordings) > 1:
            names = shorten([one.video.name for one in recordings])
            yield f"{name} is one camera in {len(recordings)} files: {names} (else set cameras)"


def _shared_numbers(files: Sequence[_File], tables: Sequence[pd.DataFrame], scope: str) -> Iterator[str]:
    """Warnings if the tracker of every camera, or of every file of a camera, seems to count for itself."""
    cameras: dict[str, set[Identity]] = {}
    parts: dict[str, dict[str, set[Identity]]] = {}
    for file, table in zip(files, tables, strict=True):
        identities = set(table["identity"].tolist())
        cameras.setdefault(file.camera, set()).update(identities)
        parts.setdefault(file.camera, {})[file.recording.name] = identities
    between = [warn_of_shared_numbers(cameras, "set identity_scope: per_camera")] if scope == "global" else []
    within = [warn_of_shared_numbers(numbers, "set identity_scope: per_file") for numbers in parts.values()]
    yield from (warning for warning in (*between, *within) if warning is not None)


def _unused(unused: Sequence[str], undeclared: Sequence[str]) -> list[str]:
    warnings = [f"not used in this folder: {shorten(unused)}"] if unused else []
    return warnings + ([f"of no camera in cameras, not used: {shorten(undeclared)}"] if undeclared else [])


def _join(
    folder: Path, files: Sequence[_File], tables: Sequence[pd.DataFrame], scope: str, remarks: list[str]
) -> pd.DataFrame:
    """All boxes, with identities as numbers and frames as the camera counts them.

    Raises:
        InputError: there is no box; there are more identities or cameras than the store can number.
    """
    # whose identities are numbered together
    owners = {
        "global": [0] * len(files),
        "per_camera": [f.number for f in files],
        "per_file": [*range(len(files))],
    }
    spaces: dict[int, list[pd.DataFrame]] = {}
    for owner, table in zip(owners[scope], tables, strict=True):
        spaces.setdefault(owner, []).append(table)
    if sum(map(len, tables)) == 0:  # some cameras may see no pedestrian, but not all of them
        raise InputError(f"{folder}: the tracks must hold at least one pedestrian, got none")
    limit = LARGEST + 1 if scope == "global" else PER_CAMERA
    if scope != "global" and len(spaces) * PER_CAMERA > LARGEST:
        raise InputError(
            f"{folder}: {scope} must have at most {LARGEST // PER_CAMERA} parts, got {len(spaces)}"
        )
    joined = []
    for index, parts in enumerate(spaces.values()):
        together = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
        identities: list[Identity] = together["identity"].tolist()
        numbers = number_identities(identities, limit, str(folder))
        remarks += describe_numbering(numbers)
        offset = index * PER_CAMERA if scope != "global" else 0
        together["identity"] = [numbers[one] + offset for one in identities]
        joined.append(together)
    boxes = pd.concat([part for part in joined if len(part)], ignore_index=True)
    boxes["frame"] += boxes.pop("before")
    return boxes.astype({"identity": "int64", "frame": "int64"})


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
    split[validation_identities(table, validation, folder)] = "validation"
    return {int(identity): str(name) for identity, name in split.items()}
