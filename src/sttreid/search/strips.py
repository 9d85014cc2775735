"""Film strips: at most eight images of a tracklet side by side, as one JPEG."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.crops import Box, crop
from sttreid.inference import read_image

IMAGES: Final = 8
WIDTH, HEIGHT = 48, 96  # of an image, in pixels
QUALITY: Final = 80

Pixels = NDArray[np.uint8]


def places(length: int) -> list[int]:
    """Evenly spaced places in a tracklet, the first and the last included."""
    spread: list[int] = np.unique(np.linspace(0, length - 1, IMAGES).round().astype(int)).tolist()
    return spread


def image(frame: Pixels, box: Box) -> Pixels:
    """One image of a strip, [HEIGHT, WIDTH, 3]."""
    return crop(frame, box, HEIGHT, WIDTH)


def join(images: Sequence[Pixels]) -> bytes:
    """The strip of at least one image."""
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(images, axis=1)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def join_files(files: Sequence[Path]) -> bytes:
    """The strip of images of one person, which are decoded already without an error."""
    chosen = [files[place] for place in places(len(files))]
    return join([read_image(path, HEIGHT, WIDTH) for path in chosen])
