"""Recordings -> cameras: a recorder writes a camera into several files, which are one camera.

``datasets.NAME.cameras`` names the files of each camera. Without it the names decide: a name is cut into a
camera and a segment at its end, which is a time stamp (``cam1_20240131_120000``), a word with a number
(``hall-part2``), or a number of at least three digits (``cam1_0001``). Such a number is a segment if the
camera's name ends in a digit, or if several cameras have segments; else (``cam_001``, ``cam_002``) it is the
number of the camera. A name that is or ends with the address of a network camera (``192.168.1.101``,
``hall_192.168.1.101``) has no segment.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sttreid.data.folder_listing import natural_key
from sttreid.data.footage_files import Recording
from sttreid.runtime.errors import InputError

_STAMP: Final = r"(?:\d{4}-?\d\d-?\d\d[ _T.\-]?\d\d[-:.h]?\d\d(?:[-:.m]?\d\d)?(?:[.,]?\d{1,6})?Z?|\d{8,})"
_SURE: Final = re.compile(
    rf"(?P<camera>.+?)[ _.\-]+(?:{_STAMP}(?:[ _.\-]+{_STAMP})?|(?:part|seg|segment|chunk|clip)[ _.\-]?\d+)",
    re.ASCII | re.IGNORECASE,
)
_COUNTED: Final = re.compile(r"(?P<camera>.+?)[ _.\-]+\d{3,}", re.ASCII)
_BYTE: Final = r"(?:25[0-5]|2[0-4]\d|[01]?\d?\d)"
# of a network camera, alone or behind a text (hall_192.168.1.101), but no part of a longer number (1.2.3.4.5)
_ADDRESS: Final = re.compile(rf"(?:.*(?<!\d)(?<!\d\.))?(?:{_BYTE}\.){{3}}{_BYTE}", re.ASCII)

Cameras = dict[str, list[Recording]]


def group_recordings(
    folder: Path, recordings: Sequence[Recording], declared: Mapping[str, Sequence[str]]
) -> tuple[Cameras, list[str]]:
    """The recordings of each camera in their order, by the cameras' names, and those of no camera.

    Args:
        folder: of the footage, for errors.
        recordings: in it.
        declared: ``cameras`` of params.yaml: camera -> names of its files, with or without suffix, or of its
            folders; empty: the names decide.

    Raises:
        InputError: a declared file does not exist, or is declared twice.
    """
    if declared:
        return _declared(folder, recordings, declared)
    names = _camera_names([recording.name for recording in recordings])
    cameras: Cameras = defaultdict(list)
    for recording in recordings:
        cameras[names[recording.name]].append(recording)
    ordered = sorted(cameras, key=natural_key)
    return {name: sorted(cameras[name], key=lambda one: natural_key(one.name)) for name in ordered}, []


def _camera_names(names: Sequence[str]) -> dict[str, str]:
    """Name of a recording -> name of its camera."""
    sure = {name: match["camera"] for name in names if (match := _SURE.fullmatch(name))}
    counted = {
        name: match["camera"]
        for name in names
        if name not in sure and not _ADDRESS.fullmatch(name) and (match := _COUNTED.fullmatch(name))
    }
    cameras = list(counted.values())
    several = len(set(cameras)) > 1 and len(set(cameras)) < len(cameras)
    segments = {name: camera for name, camera in counted.items() if several or camera[-1].isdigit()}
    return {name: name for name in names} | sure | segments


def _declared(
    folder: Path, recordings: Sequence[Recording], declared: Mapping[str, Sequence[str]]
) -> tuple[Cameras, list[str]]:
    by_name = {name: one for one in recordings for name in (one.name, one.video.name)}
    owners: dict[str, str] = {}
    cameras: Cameras = {}
    for camera, files in declared.items():
        cameras[camera] = []
        for file in files:
            if file not in by_name:
                names = ", ".join(sorted(one.name for one in recordings))
                raise InputError(
                    f"{folder}: cameras.{camera} must name videos of the folder, {names}, got {file!r}"
                )
            name = by_name[file].name
            if name in owners:
                raise InputError(
                    f"{folder}: a video must be of one camera, got {file!r} in {owners[name]} and {camera}"
                )
            owners[name] = camera
            cameras[camera].append(by_name[file])
    return cameras, sorted(one.name for one in recordings if one.name not in owners)
