"""A camera's frames as single pictures, such as the folder ``img1`` of a MOTChallenge sequence.

The number of a frame is the name of its picture: ``000001.jpg`` is frame 1, whatever the padding.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.readers.folders import picture_names
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.tracklets.images import FAILURES, failure


def list_stills(folder: Path) -> dict[int, Path]:
    """Frame -> its picture, by ascending frame; hidden files and other files are passed over.

    Raises:
        InputError: the folder cannot be listed or holds no picture; a picture's name is no number, or two
            have the same one.
    """
    found: dict[int, Path] = {}
    for name in sorted(picture_names(folder)):
        path = folder / name
        if not re.fullmatch(r"\d{1,9}", path.stem, re.ASCII):
            raise InputError(f"{path}: the picture of a frame must be named like 000001.jpg")
        number = int(path.stem)
        if number in found:
            raise InputError(f"{path}: frame {number} must have one picture, got also {found[number].name}")
        found[number] = path
    if not found:
        raise InputError(f"{folder}: must hold the pictures of a camera's frames, got none")
    return dict(sorted(found.items()))


def read_still(path: Path) -> NDArray[np.uint8]:
    """One picture as [H, W, 3], RGB, as its pixels are stored; PlaceError if it cannot be decoded."""
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except FAILURES as error:
        raise PlaceError(path, f"the picture cannot be decoded ({failure(error)})") from error
