"""Camera videos -> tracklet store: decode each video once and crop every box."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from tqdm import tqdm

from sttreid.config.datasets import Decoder, OnError
from sttreid.data.camera_frames import Frame, check_footage, check_length, read_frames
from sttreid.data.camera_videos import CameraVideos, assign_tracklets, boxes_of_file
from sttreid.data.crops import Box, crop
from sttreid.data.tracks.label_folders import LinePlaces
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.runtime.files import only_writer, writing
from sttreid.tracklets.store import Skipped, write_store

OF_BOX: Final = ["camera", "frame", "line", "left", "top", "width", "height"]

Loss = tuple[str, str]  # file, relative to the set's folder, and reason
Losses = dict[int, Loss]  # row in the store -> why it has no crop


def decode_videos(
    videos: CameraVideos,
    height: int,
    width: int,
    folder: Path,
    on_error: OnError = "raise",
    decoder: Decoder = "decord",
) -> Skipped:
    """Decode all cameras into a new tracklet store.

    Whatever the length of the video, memory holds one frame, its crops, the few frames that are decoded
    ahead (:mod:`sttreid.data.frame_process`), and a few megabytes of the film; and a row for each box.

    Args:
        videos: the data set.
        height: of the stored crops, in pixels.
        width: of the stored crops, in pixels.
        folder: of the store; replaced when the new one is complete.
        on_error: ``raise``, or ``skip``: the rest of a video from the first frame that cannot be decoded (all
            of it, if it does not hold the declared number of frames), an image that is missing or damaged,
            and a box outside of its frame.
        decoder: of the videos.

    Returns:
        The lines of the tracks that gave no box, and, with ``skip``, what was skipped.

    Raises:
        InputError: something fails and ``on_error`` is ``raise``, damage of a video before one is decoded;
            no crop is left; a camera declares an absurd number of frames; another process writes the store;
            the disk is full. A former store then stays as it was.
    """
    with writing(folder), only_writer(folder):
        return _decode(videos, height, width, folder, on_error, decoder)


def _decode(
    videos: CameraVideos, height: int, width: int, folder: Path, on_error: OnError, decoder: Decoder
) -> Skipped:
    for camera in videos.cameras:
        check_length(camera)
    damaged = [] if on_error == "raise" else list(_damage(videos, decoder))
    if on_error == "raise":
        for camera in videos.cameras:
            check_footage(camera, decoder)
    rows = assign_tracklets(videos.boxes, videos.max_frame_gap)
    losses: Losses = {}
    crops = _crops(videos, rows, height, width, None if on_error == "raise" else losses, decoder)
    write_store(folder, rows, crops, height, width)
    return _skipped(videos, rows, losses, damaged)


def _damage(videos: CameraVideos, decoder: Decoder) -> Iterator[Loss]:
    """What can be told of damaged videos before they are decoded."""
    for camera in videos.cameras:
        try:
            check_footage(camera, decoder)
        except PlaceError as error:
            yield _loss(videos, error)


def _crops(
    videos: CameraVideos,
    rows: pd.DataFrame,
    height: int,
    width: int,
    losses: Losses | None,
    decoder: Decoder,
) -> Iterator[tuple[int, Frame | None]]:
    """All crops; a failure raises, or enters ``losses`` and yields None."""
    total = sum(camera.frames for camera in videos.cameras)
    with tqdm(total=total, desc=f"decode {videos.name}", unit="frame", disable=None) as bar:
        last = {camera.number: camera for camera in videos.cameras}
        for camera in videos.cameras:
            boxes = _Boxes(boxes_of_file(camera, rows[OF_BOX], camera is last[camera.number]))
            places = LinePlaces(camera.tracks, camera.video.stem)
            for number, frame in read_frames(camera, boxes, decoder):
                for row, line, box in boxes.at(number):
                    try:
                        yield row, _crop(places, line, frame, box, height, width)
                    except PlaceError as error:
                        if losses is None:
                            raise
                        losses[row] = _loss(videos, error)
                        yield row, None
                bar.update()


def _loss(videos: CameraVideos, error: PlaceError) -> Loss:
    return error.place.removeprefix(f"{videos.folder}/"), error.reason


def _skipped(videos: CameraVideos, rows: pd.DataFrame, losses: Losses, damaged: Sequence[Loss]) -> Skipped:
    """One entry per file and reason, and one per tracklet that lacks crops."""
    counts = Counter(losses.values())
    counts.update(dict.fromkeys(damaged, 0))  # a damaged video is listed also if it lost no box
    images = [asdict(entry) for entry in videos.left_out]
    images += [{"path": path, "reason": reason, "boxes": boxes} for (path, reason), boxes in counts.items()]
    missing = rows.index.isin(list(losses))
    affected = rows["tracklet"].isin(rows["tracklet"][missing])
    table = (
        rows.assign(missing=missing)[affected]
        .groupby("tracklet")
        .agg(
            split=("split", "first"),
            identity=("identity", "first"),
            camera=("camera", "first"),
            images=("missing", "count"),
            missing=("missing", "sum"),
        )
    )
    tracklets = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    return Skipped(images, tracklets)


class _Boxes(Collection[int]):
    """The boxes of a camera by frame, as arrays: a dictionary of tuples would take 400 bytes a box.

    It is the collection of the frames that have a box.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        frames = rows["frame"].to_numpy()
        order = np.argsort(frames, kind="stable")  # a sorted copy of the table would take three times as much
        self._rows = rows.index.to_numpy(np.int32)[order]
        self._lines = rows["line"].to_numpy(np.int32)[order]
        self._boxes = np.empty((len(rows), 4))
        for place, side in enumerate(("left", "top", "width", "height")):
            self._boxes[:, place] = rows[side].to_numpy(float)[order]
        self._frames, starts = np.unique(frames[order], return_index=True)
        self._starts = np.append(starts, len(rows))

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[int]:
        return map(int, self._frames)

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and bool((self._frames == frame).any())

    def at(self, frame: int) -> Iterator[tuple[int, int, Box]]:
        """Row in the store, line in the tracks file, and box of every box in a frame."""
        place = int(np.searchsorted(self._frames, frame))
        if place < len(self._frames) and self._frames[place] == frame:
            for number in range(self._starts[place], self._starts[place + 1]):
                left, top, width, height = self._boxes[number].tolist()
                yield int(self._rows[number]), int(self._lines[number]), (left, top, width, height)


def _crop(
    places: LinePlaces, line: int, frame: Frame | PlaceError, box: Box, height: int, width: int
) -> Frame:
    if isinstance(frame, PlaceError):
        raise frame
    try:
        return crop(frame, box, height, width)
    except InputError as error:
        raise PlaceError(places(line), str(error)) from None
