"""A contact sheet of random tracklets, to check at a glance that a data set is read correctly."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from sttreid.data.camera_frames import Frame, read_frames
from sttreid.data.camera_videos import Camera, CameraVideos, assign_tracklets, boxes_of_file
from sttreid.data.crops import crop
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.reading import DataSource
from sttreid.data.tracks.label_folders import LinePlaces
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.runtime.files import write_bytes
from sttreid.tracklets.images import DECODE_ERRORS, describe_error

WIDTH, HEIGHT = 48, 96  # of an image, in pixels
IMAGES: Final = 8  # of a tracklet, evenly spaced
FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_LABEL: Final = 96  # pixels to the left of a tracklet
_COLUMNS: Final = 2  # tracklets per line
_GREY: Final = (235, 235, 235)
_RED: Final = (200, 30, 30)

Cell = Image.Image | None  # an image of the sheet; None: it cannot be read, and the sheet shows red


@dataclass(frozen=True, eq=False)
class Row:
    """One tracklet of a sheet: its label and its images."""

    label: str
    cells: Sequence[Cell]


def write_sheet(source: DataSource, path: Path, count: int, seed: int) -> list[str]:
    """Draw tracklets at random and write their labels and images, from the first to the last.

    A video is decoded from its beginning to the last frame of the sheet, by PyAV, which reads more of them.

    Args:
        source: the data set.
        path: the JPEG or PNG to write.
        count: number of tracklets, at least 1.
        seed: seed of the draw.

    Returns:
        A sentence for each image, or video, that cannot be read.

    Raises:
        InputError: the path has another suffix; the count is below 1.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a contact sheet must end in {', '.join(FORMATS)}, got {path.suffix!r}")
    if count < 1:
        raise InputError(f"a contact sheet must show at least one tracklet, got {count}")
    if isinstance(source, PublishedSet):
        rows, failures = _published_rows(source, count, seed)
    else:
        rows, failures = _video_rows(source, count, seed)
    _draw(rows, path)
    return failures


def _published_rows(published: PublishedSet, count: int, seed: int) -> tuple[list[Row], list[str]]:
    rows, failures = [], []
    for tracklet in _choose(np.flatnonzero(published.table["length"]).tolist(), count, seed):
        paths = published.image_paths(tracklet)
        cells: list[Cell] = []
        for index in _spread(len(paths)):
            try:
                cells.append(_read_image(published.root / paths[index]))
            except InputError as error:
                cells.append(None)
                failures.append(str(error))
        rows.append(Row(_published_label(published.table.iloc[tracklet]), cells))
    return rows, failures


def _video_rows(videos: CameraVideos, count: int, seed: int) -> tuple[list[Row], list[str]]:
    boxes = assign_tracklets(videos.boxes, videos.max_frame_gap)
    indices = boxes.groupby("tracklet").indices
    chosen = {
        tracklet: [int(indices[tracklet][position]) for position in _spread(len(indices[tracklet]))]
        for tracklet in _choose(sorted(indices), count, seed)
    }
    wanted = boxes.loc[[box for sample in chosen.values() for box in sample]]
    cells: dict[int, Cell] = dict.fromkeys(wanted.index.tolist())
    failures: list[str] = []
    for camera in videos.cameras:
        cut, failed = _cut(camera, boxes_of_file(camera, wanted))
        cells |= cut
        failures += failed
    rows = [
        Row(_video_label(boxes.iloc[indices[tracklet]]), [cells[box] for box in sample])
        for tracklet, sample in chosen.items()
    ]
    return rows, failures


def _cut(camera: Camera, wanted: pd.DataFrame) -> tuple[dict[int, Cell], list[str]]:
    """The crop of each selected box of a camera, by row, and the boxes that cannot be read."""
    cells: dict[int, Cell] = {}
    failures: list[str] = []
    by_frame = {int(number): rows for number, rows in wanted.groupby("frame")}
    if not by_frame:
        return cells, failures
    try:
        for number, frame in read_frames(camera, by_frame, "pyav"):
            if isinstance(frame, PlaceError):
                failures.append(str(frame))
            elif number in by_frame:
                cells |= _crops(camera, frame, by_frame[number])
            if number == max(by_frame):
                break
    except InputError as error:
        failures.append(str(error))
    return cells, list(dict.fromkeys(failures))  # the frames after a damaged one have the same reason


def _crops(camera: Camera, frame: Frame, boxes: pd.DataFrame) -> dict[int, Cell]:
    cells: dict[int, Cell] = {}
    for row, line, *box in boxes[["line", "left", "top", "width", "height"]].itertuples():
        try:
            pixels = crop(frame, (box[0], box[1], box[2], box[3]), HEIGHT, WIDTH)
        except InputError as error:
            place = LinePlaces(camera.tracks, camera.video.stem)(line)
            raise InputError(f"{place}: {error}") from None
        cells[int(row)] = Image.fromarray(pixels)
    return cells


def _choose(tracklets: Sequence[int], count: int, seed: int) -> list[int]:
    """``count`` tracklets, or all if there are fewer, ascending."""
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(np.array(tracklets), min(count, len(tracklets)), replace=False).tolist())


def _spread(length: int) -> list[int]:
    """Evenly spaced indices of a tracklet's images, the first and the last included."""
    indices: list[int] = np.unique(np.linspace(0, length - 1, IMAGES).round().astype(int)).tolist()
    return indices


def _draw(rows: Sequence[Row], path: Path) -> None:
    block = _LABEL + IMAGES * WIDTH
    size = (min(len(rows), _COLUMNS) * block, -(-len(rows) // _COLUMNS) * HEIGHT)
    sheet = Image.new("RGB", size, _GREY)
    for number, row in enumerate(rows):
        line, column = divmod(number, _COLUMNS)
        x, y = column * block, line * HEIGHT
        ImageDraw.Draw(sheet).multiline_text((x + 4, y + 4), row.label, fill=(0, 0, 0))
        for index, cell in enumerate(row.cells):
            image = Image.new("RGB", (WIDTH, HEIGHT), _RED) if cell is None else cell
            sheet.paste(image, (x + _LABEL + index * WIDTH, y))
    content = io.BytesIO()
    sheet.save(content, FORMATS[path.suffix.lower()])
    write_bytes(path, content.getvalue())


def _published_label(row: "pd.Series[object]") -> str:
    role = ", ".join(name for name in ("query", "gallery") if row[name])
    lines = (f"identity {row['identity']}", f"camera {row['camera']}", f"{row['length']} frames")
    return "\n".join([*lines, str(row["split"]), role, str(row["kind"])])


def _video_label(boxes: pd.DataFrame) -> str:
    first = boxes.iloc[0]
    lines = (f"identity {first['identity']}", f"camera {first['camera']}", f"{len(boxes)} frames")
    return "\n".join([*lines, f"from {first['frame']}", str(first["split"])])


def _read_image(path: Path) -> Image.Image:
    """An image, decoded and resized; InputError if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    except DECODE_ERRORS as error:
        raise InputError(f"{path}: the image cannot be read ({describe_error(error)})") from error
