"""A contact sheet of random tracklets: a person sees at once whether a data set was read right."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sttreid.data.pictures import FAILURES, failure
from sttreid.data.readers.tracklets import Tracklets
from sttreid.errors import InputError
from sttreid.files import write_bytes

CELL: Final = (48, 96)  # width and height of a picture, pixels
FRAMES: Final = 8  # of a tracklet, evenly spread
FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_LABEL: Final = 96  # pixels beside a tracklet
_BLOCKS: Final = 2  # tracklets beside each other
_GREY: Final = (235, 235, 235)
_BROKEN: Final = (200, 30, 30)


def write_sheet(tracklets: Tracklets, path: Path, count: int, seed: int) -> list[str]:
    """Draw tracklets at random and write pictures of each, from its first to its last, beside its labels.

    Args:
        tracklets: that were read.
        path: the JPEG or PNG to write.
        count: how many tracklets, at least 1.
        seed: of the draw.

    Returns:
        A sentence for each picture of the sheet that cannot be read; its place on the sheet is red.

    Raises:
        InputError: the path ends in another suffix; the count is below 1.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a contact sheet must end in {', '.join(FORMATS)}, got {path.suffix!r}")
    if count < 1:
        raise InputError(f"a contact sheet must show at least one tracklet, got {count}")
    filled = np.flatnonzero(tracklets.table["length"])
    drawn = np.random.default_rng(seed).choice(filled, min(count, len(filled)), replace=False)
    sheet = Image.new("RGB", _extent(len(drawn)), _GREY)
    broken = [
        sentence for place, row in enumerate(sorted(drawn)) for sentence in _put(sheet, place, tracklets, row)
    ]
    content = io.BytesIO()
    sheet.save(content, FORMATS[path.suffix.lower()])
    write_bytes(path, content.getvalue())
    return broken


def _extent(count: int) -> tuple[int, int]:
    blocks = min(count, _BLOCKS)
    return blocks * (_LABEL + FRAMES * CELL[0]), -(-count // _BLOCKS) * CELL[1]


def _put(sheet: Image.Image, place: int, tracklets: Tracklets, row: int) -> list[str]:
    """One tracklet; sentences about what cannot be read."""
    down, across = divmod(place, _BLOCKS)
    x, y = across * (_LABEL + FRAMES * CELL[0]), down * CELL[1]
    ImageDraw.Draw(sheet).multiline_text((x + 4, y + 4), _label(tracklets, row), fill=(0, 0, 0))
    pictures = tracklets.pictures(row)
    chosen = np.unique(np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int)).tolist()
    broken = []
    for number, picture in enumerate(chosen):
        try:
            cell = _open(tracklets.root / pictures[picture])
        except InputError as error:
            cell = Image.new("RGB", CELL, _BROKEN)
            broken.append(str(error))
        sheet.paste(cell, (x + _LABEL + number * CELL[0], y))
    return broken


def _label(tracklets: Tracklets, row: int) -> str:
    own = tracklets.table.iloc[row]
    role = ", ".join(name for name in ("query", "gallery") if own[name])
    lines = [
        f"identity {own['identity']}",
        f"camera {own['camera']}",
        f"{own['length']} frames",
        own["split"],
    ]
    return "\n".join([*lines, role, own["kind"]])


def _open(path: Path) -> Image.Image:
    """A picture, decoded and resized to a cell; InputError if that fails."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB").resize(CELL, Image.Resampling.BILINEAR)
    except FAILURES as error:
        raise InputError(f"{path}: the picture cannot be read ({failure(error)})") from error
