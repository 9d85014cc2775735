"""The frames of a camera: those of its video, or single images.

The folder ``img1`` of a MOTChallenge sequence holds a camera's frames as images. The file name is the frame
number, with any padding: ``000001.jpg`` is frame 1. All names may begin alike: ``frame_000001.jpg``.
"""

import re
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.data import videos
from sttreid.data.camera_videos import Camera
from sttreid.data.folder_listing import image_names
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.tracklets.images import DECODE_ERRORS, describe_error

Frame = NDArray[np.uint8]


def read_frames(camera: Camera, wanted: Container[int]) -> Iterator[tuple[int, Frame | PlaceError]]:
    """Read a camera's frames in order.

    Args:
        camera: the camera.
        wanted: frame numbers; other frames of an image sequence are not read.

    Yields:
        Frame number from 1, and pixels [H, W, 3], RGB, or the reason why there are none. If a frame of a
        video cannot be decoded, all later frames have the same reason, because decord's frame count is then
        wrong.
    """
    if camera.video.is_dir():
        paths = list_image_sequence(camera.video)
        for number in range(1, camera.frames + 1):
            if number in wanted:
                image = number - 1 + camera.start
                yield number, _read_sequence_image(camera.video, paths.get(image), image)
        return
    number = 0
    try:
        for number, frame in enumerate(videos.frames(camera.video, camera.frames), 1):
            yield number, frame
    except PlaceError as error:
        for later in range(number + 1, camera.frames + 1):
            yield later, error


def list_image_sequence(folder: Path) -> dict[int, Path]:
    """Frame number -> image file, by ascending number; hidden files and other files are ignored.

    Raises:
        InputError: the folder cannot be listed or holds no image; a file name is not a number, or two file
            names are the same number.
    """
    paths: dict[int, Path] = {}
    prefix: str | None = None
    for name in sorted(image_names(folder)):
        path = folder / name
        match = re.fullmatch(r"(.*?)(\d{1,9})", path.stem, re.ASCII)
        if not match or (match[1] and not match[1].endswith(("_", "-"))):
            raise InputError(f"{path}: the image of a frame must be named like 000001.jpg")
        prefix = match[1] if prefix is None else prefix
        if match[1] != prefix:
            raise InputError(
                f"{path}: all images of a camera must begin alike, got {match[1]!r} and {prefix!r}"
            )
        number = int(match[2])
        if number in paths:
            raise InputError(f"{path}: frame {number} must have one image, got also {paths[number].name}")
        paths[number] = path
    if not paths:
        raise InputError(f"{folder}: must hold the images of a camera's frames, got none")
    return dict(sorted(paths.items()))


def _read_sequence_image(folder: Path, path: Path | None, number: int) -> Frame | PlaceError:
    if path is None:
        return PlaceError(folder, f"the image of frame {number} is missing")
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except DECODE_ERRORS as error:
        return PlaceError(path, f"the image cannot be decoded ({describe_error(error)})")
