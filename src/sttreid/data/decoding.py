"""Camera videos -> tracklet store: every video is decoded once, its people are cut out and put in their
place.

A tracklet is what one camera saw of one identity, or, where the manifest names a gap, what it saw without
losing the person for longer than that. Tracklets are numbered by split (train, validation, test,
distractors), then identity, then camera, then time.
"""

import math
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from sttreid.config.datasets import OnError
from sttreid.data.crops import crop
from sttreid.data.sources import Camera, CameraFolder
from sttreid.data.stills import list_stills, read_still
from sttreid.data.videos import frames
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.tracklets.store import SPLITS, Skipped, write_store

Frame = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Lost = dict[int, tuple[str, str]]  # row in the store -> file, relative to the set's folder, and reason


def decode_cameras(
    source: CameraFolder, height: int, width: int, folder: Path, on_error: OnError = "raise"
) -> Skipped:
    """Decode all cameras into a new tracklet store.

    One frame and its crops are held at a time; beside them decord's own look-ahead of a few hundred frames at
    most, whatever the length of the video.

    Args:
        source: the data set.
        height: of the stored crops, in pixels.
        width: of the stored crops, in pixels.
        folder: of the store; replaced when the new one is complete.
        on_error: what becomes of a video that cannot be decoded from some frame on (from the first one, if it
            does not hold the frames that the manifest says), a picture that is missing or damaged, and a box
            outside of its picture: ``raise``, or ``skip`` the rest of the video, the picture or the box.

    Returns:
        What was skipped; nothing with ``raise``.

    Raises:
        InputError: ``raise``, and there is such a video, picture or box; nothing is left.
    """
    rows = arrange(source.detections, source.gap)
    lost: Lost = {}
    crops = _crops(source, rows, height, width, None if on_error == "raise" else lost)
    write_store(folder, rows, crops, height, width)
    return _skipped(rows, lost)


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
    source: CameraFolder, rows: pd.DataFrame, height: int, width: int, lost: Lost | None
) -> Iterator[tuple[int, Frame | None]]:
    """All crops; what fails raises, or is noted in ``lost`` and given as None."""
    total = sum(camera.frames for camera in source.cameras)
    with tqdm(total=total, desc=f"decode {source.name}", unit="frame", disable=None) as bar:
        for camera in source.cameras:
            boxes = _boxes(rows[rows["camera"] == camera.number])
            for number, frame in _frames(camera, boxes):
                for row, line, box in boxes.get(number, ()):
                    try:
                        yield row, _crop(camera, line, frame, box, height, width)
                    except PlaceError as error:
                        if lost is None:
                            raise
                        lost[row] = _told(source.folder, error)
                        yield row, None
                bar.update()


def _frames(camera: Camera, wanted: Container[int]) -> Iterator[tuple[int, Frame | PlaceError]]:
    """Every frame's number and pixels, or why there are none; of single pictures only those that are wanted.

    What comes after the first frame of a video that cannot be decoded has the same reason: decord's count is
    not to be trusted any more.
    """
    if camera.video.is_dir():
        stills = list_stills(camera.video)
        for number in range(1, camera.frames + 1):
            if number in wanted:
                yield number, _still(camera.video, stills.get(number), number)
        return
    number = 0
    try:
        for number, frame in enumerate(frames(camera.video, camera.frames), 1):
            yield number, frame
    except PlaceError as error:
        for later in range(number + 1, camera.frames + 1):
            yield later, error


def _still(folder: Path, path: Path | None, number: int) -> Frame | PlaceError:
    if path is None:
        return PlaceError(folder, f"the picture of frame {number} is missing")
    try:
        return read_still(path)
    except PlaceError as error:
        return error


def _told(root: Path, error: PlaceError) -> tuple[str, str]:
    """File and reason of an error, without the folder of the machine."""
    return error.place.removeprefix(f"{root}/"), error.reason


def _skipped(rows: pd.DataFrame, lost: Lost) -> Skipped:
    """One entry a file and reason, and one a tracklet that lacks crops."""
    counts = Counter(lost.values())
    pictures = [{"path": path, "reason": reason, "boxes": boxes} for (path, reason), boxes in counts.items()]
    gone = rows.index.isin(list(lost))
    own = rows.assign(gone=gone)[rows["tracklet"].isin(rows["tracklet"][gone])].groupby("tracklet")
    table = own.agg(
        split=("split", "first"),
        identity=("identity", "first"),
        camera=("camera", "first"),
        pictures=("gone", "count"),
        missing=("gone", "sum"),
    )
    return Skipped(
        pictures, [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    )


def _boxes(rows: pd.DataFrame) -> dict[int, list[tuple[int, int, Box]]]:
    """Frame -> (row in the store, line in the tracks file, box) of everybody in it."""
    boxes: dict[int, list[tuple[int, int, Box]]] = {}
    columns = ["frame", "line", "left", "top", "width", "height"]
    for row, frame, line, *box in rows[columns].itertuples(name=None):
        boxes.setdefault(int(frame), []).append((int(row), int(line), (box[0], box[1], box[2], box[3])))
    return boxes


def _crop(camera: Camera, line: int, frame: Frame | PlaceError, box: Box, height: int, width: int) -> Frame:
    if isinstance(frame, PlaceError):
        raise frame
    try:
        return crop(frame, box, height, width)
    except InputError as error:
        raise PlaceError(f"{camera.tracks}:{line}", str(error)) from None
