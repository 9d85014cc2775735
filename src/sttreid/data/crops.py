"""Frames -> crops: one box, cut out and resized."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.runtime.errors import InputError

SLIVER: Final = 2.0  # pixels of width and height that a box must show, or it has no image
Box = tuple[float, float, float, float]  # left, top, width, height in pixels


def crop(frame: NDArray[np.uint8], box: Box, height: int, width: int) -> NDArray[np.uint8]:
    """Cut a box out of a frame and resize it.

    The resize is antialiased: plain bilinear sampling would skip pixels of large boxes, and decord's own
    resize halves the colour resolution.

    Args:
        frame: [H, W, 3], RGB.
        box: left, top, width, height in pixels, fractions allowed; parts outside of the frame are cut off.
        height: of the crop, in pixels.
        width: of the crop, in pixels.

    Returns:
        [height, width, 3], RGB.

    Raises:
        InputError: less than ``SLIVER`` pixels of the box's width or height lie in the frame.
    """
    frame_height, frame_width = frame.shape[:2]
    left, top, right, bottom = visible_part(box, frame_width, frame_height)
    x, y = math.floor(left), math.floor(top)  # copy only the pixels that the box touches
    pixels = np.ascontiguousarray(frame[y : math.ceil(bottom), x : math.ceil(right)])
    part = (left - x, top - y, right - x, bottom - y)
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=part))


def visible_part(box: Box, frame_width: int, frame_height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the part of a box that lies in the frame, in pixels.

    Raises:
        InputError: it is less than ``SLIVER`` pixels wide or high.
    """
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], float(frame_width)), min(box[1] + box[3], float(frame_height))
    if left >= right or top >= bottom:
        raise InputError(f"the box {_text(box)} must overlap the {frame_width}x{frame_height} frame")
    if right - left < SLIVER or bottom - top < SLIVER:
        rule = f"the box {_text(box)} must show {SLIVER:g} pixels of the {frame_width}x{frame_height} frame"
        raise InputError(f"{rule}, got {right - left:g} x {bottom - top:g}")
    return left, top, right, bottom


def _text(box: Box) -> str:
    names = ("left", "top", "width", "height")
    return ", ".join(f"{name} {value:g}" for name, value in zip(names, box, strict=True))
