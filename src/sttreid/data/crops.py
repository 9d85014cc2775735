"""Frames -> crops: one person's box, cut out and brought to a fixed size."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sttreid.runtime.errors import InputError


def crop(
    frame: NDArray[np.uint8], box: tuple[float, float, float, float], height: int, width: int
) -> NDArray[np.uint8]:
    """Cut a box out of a frame and resize it.

    The filter is a triangle as wide as the reduction asks for (antialiased): a plain bilinear sample would
    skip pixels of tall people, and decord's own resizing halves the colour resolution.

    Args:
        frame: [H, W, 3], RGB.
        box: left, top, width, height in pixels, fractions allowed; what lies outside the frame is cut off.
        height: of the crop, in pixels.
        width: of the crop, in pixels.

    Returns:
        [height, width, 3], RGB.

    Raises:
        InputError: the box and the frame do not overlap.
    """
    high, wide = frame.shape[:2]
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], float(wide)), min(box[1] + box[3], float(high))
    if left >= right or top >= bottom:
        raise InputError(f"the box {_text(box)} must overlap the {wide}x{high} picture")
    x, y = math.floor(left), math.floor(top)  # only the pixels that the box touches are copied
    pixels = np.ascontiguousarray(frame[y : math.ceil(bottom), x : math.ceil(right)])
    part = (left - x, top - y, right - x, bottom - y)
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=part))


def _text(box: tuple[float, float, float, float]) -> str:
    names = ("left", "top", "width", "height")
    return ", ".join(f"{name} {value:g}" for name, value in zip(names, box, strict=True))
