"""Camera videos -> tracklet store: every video is decoded once, its people are cut out and put in their
place.

A tracklet is what one camera saw of one identity, or, where the manifest names a gap, what it saw without
losing the person for longer than that. Tracklets are numbered by split (train, validation, test,
distractors), then identity, then camera, then time.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from sttreid.data.crops import crop
from sttreid.data.sources import Camera, CameraFolder
from sttreid.data.store import SPLITS, Store, write_store
from sttreid.data.videos import frames
from sttreid.errors import InputError


def decode_cameras(source: CameraFolder, height: int, width: int, folder: Path) -> Store:
    """Decode all cameras into a new tracklet store.

    One frame and its crops are held at a time; beside them decord's own look-ahead of a few hundred frames at
    most, whatever the length of the video.

    Args:
        source: the data set.
        height: of the stored crops, in pixels.
        width: of the stored crops, in pixels.
        folder: of the store; replaced when the new one is complete.

    Raises:
        InputError: a video cannot be decoded, has another number of frames, or a box lies outside its
            picture.
    """
    rows = arrange(source.detections, source.gap)
    return write_store(folder, rows, _crops(source, rows, height, width), height, width)


def arrange(detections: pd.DataFrame, gap: int | None) -> pd.DataFrame:
    """Sort detections into the store's order and number their tracklets.

    Args:
        detections: as :attr:`sttreid.data.sources.CameraFolder.detections`.
        gap: as :attr:`sttreid.data.sources.CameraFolder.gap`.

    Returns:
        The same rows with a column ``tracklet``; the row label is the place in the store.
    """
    order = detections.assign(rank=detections["split"].map(SPLITS.index))
    order = order.sort_values(["rank", "identity", "camera", "frame"], ignore_index=True)
    steps = order.groupby(["rank", "identity", "camera"])["frame"].diff()  # NaN where a camera's first box is
    goes_on = steps <= (math.inf if gap is None else gap)
    order["tracklet"] = (~goes_on).cumsum() - 1
    return order.drop(columns="rank")


def _crops(
    source: CameraFolder, rows: pd.DataFrame, height: int, width: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    total = sum(camera.frames for camera in source.cameras)
    with tqdm(total=total, desc=f"decode {source.name}", unit="frame", disable=None) as bar:
        for camera in source.cameras:
            boxes = _boxes(rows[rows["camera"] == camera.number])
            for number, frame in enumerate(frames(camera.video, camera.frames), 1):
                for row, line, box in boxes.get(number, ()):
                    yield row, _crop(camera, line, frame, box, height, width)
                bar.update()


Box = tuple[float, float, float, float]


def _boxes(rows: pd.DataFrame) -> dict[int, list[tuple[int, int, Box]]]:
    """Frame -> (row in the store, line in the tracks file, box) of everybody in it."""
    boxes: dict[int, list[tuple[int, int, Box]]] = {}
    columns = ["frame", "line", "left", "top", "width", "height"]
    for row, frame, line, *box in rows[columns].itertuples(name=None):
        boxes.setdefault(int(frame), []).append((int(row), int(line), (box[0], box[1], box[2], box[3])))
    return boxes


def _crop(
    camera: Camera, line: int, frame: NDArray[np.uint8], box: Box, height: int, width: int
) -> NDArray[np.uint8]:
    try:
        return crop(frame, box, height, width)
    except InputError as error:
        raise InputError(f"{camera.tracks}:{line}: {error}") from None
