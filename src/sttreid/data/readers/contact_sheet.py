"""A contact sheet of random tracklets: a person sees at once whether a data set was read right."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sttreid.data.readers.tracklets import Tracklets
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_bytes
from sttreid.tracklets.images import FAILURES, failure

CELL: Final = (48, 96)  # width and height of a picture, pixels
FRAMES: Final = 8  # of a tracklet, evenly spread
FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_LABEL: Final = 96  # pixels beside a tracklet
_BLOCKS: Final = 2  # tracklets beside each other
_GREY: Final = (235, 235, 235)
_BROKEN: Final = (200, 30, 30)


@dataclass(frozen=True, eq=False)
class Strip:
    """One tracklet of a sheet: what stands beside it, and its pictures; None: one that cannot be read."""

    label: str
    pictures: Sequence[Image.Image | None]


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
    check_sheet(path, count)
    strips, broken = [], []
    for row in drawn(np.flatnonzero(tracklets.table["length"]).tolist(), count, seed):
        pictures = tracklets.pictures(row)
        cells: list[Image.Image | None] = []
        for place in spread(len(pictures)):
            try:
                cells.append(_open(tracklets.root / pictures[place]))
            except InputError as error:
                cells.append(None)
                broken.append(str(error))
        strips.append(Strip(_label(tracklets, row), cells))
    draw_sheet(strips, path)
    return broken


def check_sheet(path: Path, count: int) -> None:
    """Raises InputError if a sheet's file has another suffix than a picture's, or its count is below 1."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a contact sheet must end in {', '.join(FORMATS)}, got {path.suffix!r}")
    if count < 1:
        raise InputError(f"a contact sheet must show at least one tracklet, got {count}")


def drawn(rows: Sequence[int], count: int, seed: int) -> list[int]:
    """So many of the rows, or all if there are fewer, ascending."""
    chosen = np.random.default_rng(seed).choice(np.array(rows), min(count, len(rows)), replace=False)
    return sorted(chosen.tolist())


def spread(length: int) -> list[int]:
    """Places of the pictures that stand for so many, from the first to the last."""
    places: list[int] = np.unique(np.linspace(0, length - 1, FRAMES).round().astype(int)).tolist()
    return places


def draw_sheet(strips: Sequence[Strip], path: Path) -> None:
    """Write tracklets, each with its label before its pictures, whose size is ``CELL``."""
    blocks = min(len(strips), _BLOCKS)
    wide = _LABEL + FRAMES * CELL[0]
    sheet = Image.new("RGB", (blocks * wide, -(-len(strips) // _BLOCKS) * CELL[1]), _GREY)
    for place, strip in enumerate(strips):
        down, across = divmod(place, _BLOCKS)
        x, y = across * wide, down * CELL[1]
        ImageDraw.Draw(sheet).multiline_text((x + 4, y + 4), strip.label, fill=(0, 0, 0))
        for number, picture in enumerate(strip.pictures):
            cell = Image.new("RGB", CELL, _BROKEN) if picture is None else picture
            sheet.paste(cell, (x + _LABEL + number * CELL[0], y))
    content = io.BytesIO()
    sheet.save(content, FORMATS[path.suffix.lower()])
    write_bytes(path, content.getvalue())


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
