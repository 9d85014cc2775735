"""What a set of camera videos holds, in words, and a contact sheet of its people."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.crops import crop
from sttreid.data.decoding import arrange
from sttreid.data.readers.contact_sheet import CELL, Strip, check_sheet, draw_sheet, drawn, spread
from sttreid.data.sources import Camera, CameraFolder
from sttreid.data.stills import list_stills, read_still
from sttreid.data.videos import frames
from sttreid.runtime.errors import InputError

Cells = dict[int, Image.Image | None]  # row of the boxes -> its picture; None: it cannot be read


def tracklets_of(found: CameraFolder) -> pd.DataFrame:
    """One row a tracklet: split, identity, camera, first (frame), length (boxes)."""
    groups = arrange(found.detections, found.gap).groupby("tracklet")
    return groups.agg(
        split=("split", "first"),
        identity=("identity", "first"),
        camera=("camera", "first"),
        first=("frame", "min"),
        length=("frame", "size"),
    )


def camera_lines(found: CameraFolder) -> list[str]:
    """A sentence a camera: its file, its frames, who was seen."""
    lines = []
    for camera in found.cameras:
        own = found.detections[found.detections["camera"] == camera.number]
        lines.append(
            f"camera {camera.number}: {camera.video.relative_to(found.folder)}, {camera.frames:,} frames,"
            f" {len(own):,} boxes of {own['identity'].nunique():,} people"
        )
    return lines


def write_footage_sheet(found: CameraFolder, path: Path, count: int, seed: int) -> list[str]:
    """As :func:`sttreid.data.readers.contact_sheet.write_sheet`, of camera videos.

    A video is decoded from its beginning to the last frame that is drawn: in order is the only way that
    decord is to be trusted.
    """
    check_sheet(path, count)
    boxes = arrange(found.detections, found.gap)
    places = boxes.groupby("tracklet").indices
    chosen = drawn(sorted(places), count, seed)
    rows = [places[tracklet][place] for tracklet in chosen for place in spread(len(places[tracklet]))]
    cells: Cells = dict.fromkeys(rows)
    broken = []
    for camera in found.cameras:
        wanted = boxes.loc[rows][boxes.loc[rows, "camera"] == camera.number]
        try:
            cells |= _cut(camera, wanted)
        except InputError as error:
            broken.append(str(error))
    strips = []
    for tracklet in chosen:
        own = [places[tracklet][place] for place in spread(len(places[tracklet]))]
        strips.append(Strip(_label(boxes.iloc[places[tracklet]]), [cells[row] for row in own]))
    draw_sheet(strips, path)
    return broken


def _cut(camera: Camera, wanted: pd.DataFrame) -> Cells:
    """The picture of each wanted box of a camera."""
    cells: Cells = {}
    last = int(wanted["frame"].max()) if len(wanted) else 0
    by_frame = {int(number): rows for number, rows in wanted.groupby("frame")}
    if camera.video.is_dir():
        stills = list_stills(camera.video)
        for number, rows in by_frame.items():
            if number not in stills:
                raise InputError(f"{camera.video}: the picture of frame {number} is missing")
            cells |= _crops(camera, read_still(stills[number]), rows)
        return cells
    if last:
        for number, frame in enumerate(frames(camera.video, camera.frames), 1):
            if number in by_frame:
                cells |= _crops(camera, frame, by_frame[number])
            if number == last:
                break
    return cells


def _crops(camera: Camera, frame: NDArray[np.uint8], rows: pd.DataFrame) -> Cells:
    cells: Cells = {}
    for row, line, *box in rows[["line", "left", "top", "width", "height"]].itertuples():
        try:
            cells[int(row)] = Image.fromarray(crop(frame, (box[0], box[1], box[2], box[3]), CELL[1], CELL[0]))
        except InputError as error:
            raise InputError(f"{camera.tracks}:{line}: {error}") from None
    return cells


def _label(boxes: pd.DataFrame) -> str:
    first = boxes.iloc[0]
    lines = (
        f"identity {first['identity']}",
        f"camera {first['camera']}",
        f"{len(boxes)} frames",
        f"from {first['frame']}",
        str(first["split"]),
    )
    return "\n".join(lines)
