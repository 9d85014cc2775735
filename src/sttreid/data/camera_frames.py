"""The frames of a camera: those of its video, or single images.

The folder ``img1`` of a MOTChallenge sequence holds a camera's frames as images. The file name is the frame
number, with any padding: ``000001.jpg`` is frame 1. All names may begin alike: ``frame_000001.jpg``, or
``frame0001.jpg`` as FFmpeg's manual has it.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.config.datasets import Decoder
from sttreid.data import videos
from sttreid.data.camera_videos import Camera
from sttreid.data.folder_listing import image_names
from sttreid.data.frame_sizes import upright
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.tracklets.images import DECODE_ERRORS, describe_error

MOST_FRAMES: Final = 100_000_000  # of a camera: 46 days at 25 frames per second
BRIGHTEST: Final = (
    255  # Pillow would show all that is brighter in 16-bit images, as of thermal cameras, white
)

Frame = NDArray[np.uint8]


def read_frames(
    camera: Camera, wanted: Collection[int], decoder: Decoder = "decord"
) -> Iterator[tuple[int, Frame | PlaceError]]:
    """Read a camera's frames in order.

    Args:
        camera: the camera.
        wanted: frame numbers; other frames of an image sequence are not read.
        decoder: of a video.

    Yields:
        Frame number from 1, and pixels [H, W, 3], RGB, or the reason why there are none. If a frame of a
        video cannot be decoded, all later wanted frames have the same reason, because their places are then
        uncertain.
    """
    if camera.video.is_dir():
        paths = list_image_sequence(camera.video)
        for number in sorted(wanted):
            image = number - 1 + camera.start
            yield number, _read_sequence_image(camera.video, paths.get(image), image)
        return
    number = 0
    reason = PlaceError(camera.video, f"the film ends with frame {camera.frames}")
    try:
        for number, frame in enumerate(videos.frames(camera.video, camera.frames, decoder), 1):
            yield number, frame
    except PlaceError as error:
        reason = error
    for later in sorted(wanted):
        if later > number:
            yield later, reason


def check_footage(camera: Camera, decoder: Decoder) -> None:
    """Check a camera's frames without decoding a video; images are only listed.

    Raises:
        PlaceError: a video is damaged or holds another number of frames than the camera.
        InputError: the camera promises an absurd number of frames, or the images break a rule of their names.
    """
    if camera.video.is_dir():
        list_image_sequence(camera.video)
    else:
        videos.check_video(camera.video, camera.frames, decoder)


def check_length(camera: Camera) -> None:
    """Check that the promised number of frames is possible.

    Raises:
        PlaceError: it is not.
    """
    if camera.frames > MOST_FRAMES:
        rule = f"a camera must hold at most {MOST_FRAMES:,} frames"
        raise PlaceError(camera.video, f"{rule}, but {camera.frames:,} are declared")


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
        if not match or not re.fullmatch(r"|.*[^\W\d]|.*[-_ ]", match[1], re.DOTALL):
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
            rule = f"the image must have 8 bits a channel, values from 0 to {BRIGHTEST}"
            if image.mode == "F":
                return PlaceError(path, f"{rule}, got those of 32 bits with fractions")
            if image.mode.startswith("I"):
                values = np.asarray(image)
                for value in (int(values.min()), int(values.max())):
                    if not 0 <= value <= BRIGHTEST:
                        return PlaceError(path, f"{rule}, got {value}")
            return np.array(upright(image).convert("RGB"))
    except DECODE_ERRORS as error:
        return PlaceError(path, f"the image cannot be decoded ({describe_error(error)})")
