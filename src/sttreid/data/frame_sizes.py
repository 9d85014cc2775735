"""The size of a camera's pictures, from the first frame, as decord will show it."""

from pathlib import Path

from PIL import Image

from sttreid.data.film_files import import_av, open_film
from sttreid.tracklets.images import DECODE_ERRORS


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
    """Width and height of an image in pixels; None if its header cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except DECODE_ERRORS:
        return None
