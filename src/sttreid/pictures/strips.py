"""Frames -> a film strip: side by side in one JPEG, small enough to stand in a page."""

import io
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sttreid.tracklets.store import Store

QUALITY = 85  # of JPEG, whose decoder and encoder work in whole numbers: the same bytes on every processor


def strip(frames: NDArray[np.uint8], height: int) -> tuple[bytes, int]:
    """Put frames side by side.

    Args:
        frames: [T, H, W, 3], RGB.
        height: of the strip, in pixels; a frame keeps its proportions.

    Returns:
        A JPEG file, and the width of one frame in it, in pixels.
    """
    count, rows, columns, _ = frames.shape
    width = max(1, round(columns * height / rows))
    pictures = [Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS) for frame in frames]
    film = Image.new("RGB", (width * count, height))
    for place, picture in enumerate(pictures):
        film.paste(picture, (width * place, 0))
    content = io.BytesIO()
    film.save(content, "JPEG", quality=QUALITY, optimize=True)
    return content.getvalue(), width


def spread(length: int, frames: int) -> NDArray[np.int64]:
    """At most ``frames`` places of a tracklet, evenly spread, each once: the middles of even segments."""
    count = min(length, frames)
    return (2 * np.arange(count) + 1) * length // (2 * count)


def strips(
    store: Store, dataset: str, cuts: Iterable[tuple[int, int, NDArray[np.int64]]], height: int
) -> pd.DataFrame:
    """Film strips of one data set.

    Args:
        store: where the frames lie.
        dataset: its name.
        cuts: (tracklet, clip, places in the tracklet from 0): what stands in one strip.
        height: of a strip, in pixels.

    Returns:
        One row a strip: dataset, tracklet, clip, frames (their number), width (of one frame), height, jpeg.
    """
    starts = store.tracklets.set_index("tracklet")["start"]
    rows = []
    for tracklet, clip, places in cuts:
        jpeg, width = strip(store.frames[int(starts[tracklet]) + places], height)
        place = {"dataset": dataset, "tracklet": tracklet, "clip": clip, "frames": len(places)}
        rows.append(place | {"width": width, "height": height, "jpeg": jpeg})
    return pd.DataFrame(rows)
