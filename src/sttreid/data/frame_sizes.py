"""The size of a camera's pictures, from the first frame, as they will be shown: upright."""

import struct
from pathlib import Path
from typing import Final

from PIL import Image

from sttreid.data.film_files import import_av, open_film
from sttreid.tracklets.images import DECODE_ERRORS

ORIENTATION: Final = 0x0112  # EXIF's number of it
TURNS: Final = {  # its values, and what makes such an image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS: Final = (5, 6, 7, 8)


def video_size(path: Path) -> tuple[int, int] | None:
    """Width and height of the upright frames in pixels; None if the first frame cannot be decoded."""
    av = import_av()
    try:
        with open_film(path) as (container, stream):
            if stream is None:
                return None
            frame = next(container.decode(stream))
            turned = round(frame.rotation) % 180 == 90
            return (frame.height, frame.width) if turned else (frame.width, frame.height)
    except (av.FFmpegError, StopIteration, ValueError):
        return None


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of an upright image in pixels; None if its header cannot be read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in SIDEWAYS else (width, height)
    except DECODE_ERRORS:
        return None


def upright(image: Image.Image) -> Image.Image:
    """An image as its EXIF orientation says, which cameras and telephones write and trackers apply."""
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION) if "exif" in image.info else None
    except (*DECODE_ERRORS, struct.error):  # damaged, but no pixel is
        return 1
    return value if isinstance(value, int) else 1
