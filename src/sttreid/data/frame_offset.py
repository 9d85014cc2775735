"""Whether boxes move with the pictures, or are some frames early or late: a check on the first frame.

Where something moves, two successive frames differ; the middle of the differences in and around a box should
be the middle of the box. Boxes that are late by a frame are behind by the way that they move in a frame. So,
for each track that moves, the distance between the two middles is compared with the speed, with the frames of
its boxes and of up to two frames earlier or later; the shift at which the distance does not depend on the
speed is the offset of the track. Only boxes without another box near them count, and only the first frames of
a few files are decoded, with few pixels.

Single tracks are noisy (a box jitters, a shadow moves along). On the rendered sets the median over the tracks
of a set is 0.2 to 0.5 frames where the numbers are right, and differs by about one from that where they are
wrong by one (docs/tracks.md). The limits ``EARLY`` and ``LATE`` lie in the middle between these values.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.camera_frames import list_image_sequence
from sttreid.data.camera_videos import Camera
from sttreid.data.film_files import import_av, open_film
from sttreid.data.frame_sizes import upright
from sttreid.runtime.errors import InputError
from sttreid.tracklets.images import DECODE_ERRORS

FILES: Final = 8  # of which frames are decoded
FRAMES: Final = 250  # that are decoded, from the first
SHIFT: Final = 2  # frames earlier and later
NEAR: Final = 3  # frames around a box that give its speed
FEWEST: Final = 12  # tracks that a judgement needs
SLOWEST: Final = 0.05  # speed in widths of the box per frame
WIDTH: Final = 30.0  # of the median box after reduction, in pixels
WIDEST: Final = 640  # of the reduced picture, in pixels
MARGIN: Final = 0.5  # widths of a box on both sides in which differences count
NOISE: Final = 10  # grey levels by which still pixels may differ
LEAST_RISE: Final = 0.25  # of the distance with the shift, in speeds; else the picture moves otherwise
EARLY: Final = -0.15
LATE: Final = 0.9

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Sample:
    """A file whose first frames are decoded: its camera, boxes (frames from 1 in the file), and picture."""

    camera: Camera
    boxes: pd.DataFrame
    picture: tuple[int, int]


def check_offset(samples: Sequence[Sample], first_frame: int) -> tuple[list[str], list[str]]:
    """Remarks and warnings on files whose tracks give the same number to the first frame."""
    offsets = [track_offsets(sample) for sample in choose(samples)]
    remark, warning = judge(np.concatenate(offsets or [np.empty(0)]), first_frame)
    return [remark] if remark else [], [warning] if warning else []


def choose(samples: Sequence[Sample]) -> list[Sample]:
    """At most ``FILES``, evenly spread over those in which enough boxes may move."""
    moving = [sample for sample in samples if _moves(sample.boxes)]
    return [moving[int(place)] for place in np.linspace(0, len(moving) - 1, min(FILES, len(moving)))]


def _moves(boxes: pd.DataFrame) -> bool:
    early = boxes[boxes["frame"] <= FRAMES]
    middles = (early["left"] + early["width"] / 2).groupby(early["identity"], sort=False)
    return bool(((middles.max() - middles.min()) > early["width"].median() / 2).any())


def track_offsets(sample: Sample) -> Floats:
    """Frames by which the pictures of each track are later than its boxes say; tracks that show nothing lack.

    Empty if the film cannot be decoded. Memory holds six frames.
    """
    boxes = sample.boxes[sample.boxes["frame"] <= FRAMES]
    scale = min(1.0, WIDTH / float(boxes["width"].median()), WIDEST / sample.picture[0])
    moving = {int(rows[0, 0]): rows for rows in _groups(_moving_boxes(boxes, scale), 0)}
    found: dict[float, list[tuple[float, Floats]]] = {}
    shown: deque[Grey] = deque(maxlen=2 * SHIFT + 2)  # from SHIFT frames before one to SHIFT + 1 after it
    last = max(moving, default=0) + SHIFT + 1
    for number, frame in enumerate(islice(_grey_frames(sample, scale), last + 1)):
        shown.append(frame)
        time = number - SHIFT - 1
        if len(shown) < 2 * SHIFT + 2 or time not in moving:
            continue
        for _, identity, x, width, top, bottom, speed in moving[time]:
            distances = _distances(shown, x, width, max(0, int(top)), int(bottom))
            if distances is not None:
                found.setdefault(identity, []).append((speed, distances))
    offsets = [_offset(pairs) for pairs in found.values()]
    return np.array([offset for offset in offsets if offset is not None])


def judge(offsets: Floats, first_frame: int) -> tuple[str | None, str | None]:
    """A remark on the tracks' offsets, and a warning if most are early or late; None: there are none.

    Args:
        offsets: of all tracks, in frames.
        first_frame: the number that the tracks give to the first frame, as it was found or declared.
    """
    if not len(offsets):
        return None, None
    if len(offsets) < FEWEST:
        return f"the motion of {len(offsets)} tracks does not tell the first frame: it needs {FEWEST}", None
    ordered, half = np.sort(offsets), len(offsets) / 2
    spread = 1.96 * np.sqrt(len(offsets)) / 2  # order statistics that enclose the median in 95 of 100 samples
    low, high = ordered[max(0, int(half - spread))], ordered[min(len(ordered) - 1, int(half + spread))]
    median = float(np.median(offsets))
    where = f"by the motion of {len(offsets)} tracks, the pictures are {median:.1f} frames after the boxes"
    remark = f"{where} ({low:.1f} to {high:.1f}; {EARLY:g} to {LATE:g} is usual)"
    if low >= EARLY and high <= LATE:
        return remark, None
    if high >= EARLY and low <= LATE:
        return f"{remark}: they do not tell whether the first frame is right", None
    shift = int(np.sign(median)) * max(1, round(abs(median)))
    fits = f", {first_frame - shift} would fit" if first_frame >= shift else ""
    return remark, f"{where}: is tracks.first_frame right? It is {first_frame}{fits}"


def _groups(rows: Floats, column: int) -> list[Floats]:
    """The rows, sorted by a column, cut where it changes."""
    cuts = np.flatnonzero(np.diff(rows[:, column])) + 1
    return np.split(rows, cuts) if len(rows) else []


def _moving_boxes(boxes: pd.DataFrame, scale: float) -> Floats:
    """Boxes that move and have no other box near them, by frame.

    Returns:
        Frame from 0, identity as a number, middle between this frame and the next, width, top, bottom, speed
        in pixels per frame, [N, 7]; in reduced pixels.
    """
    middle = (boxes["left"] + boxes["width"] / 2) * scale
    columns = [
        boxes["frame"] - 1, pd.factorize(boxes["identity"])[0], middle, boxes["width"] * scale,
        boxes["top"] * scale, (boxes["top"] + boxes["height"]) * scale,
    ]  # fmt: skip
    rows = np.column_stack([np.asarray(column, float) for column in columns])
    rows = rows[np.lexsort((rows[:, 0], rows[:, 1]))]
    tracks = [_with_speed(track) for track in _groups(rows, 1)]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    by_frame = {int(part[0, 0]): part for part in _groups(rows, 0)}
    moving = np.concatenate([*tracks, np.empty((0, 7))])
    moving = moving[np.abs(moving[:, 6]) >= SLOWEST * moving[:, 3]]
    moving = moving[[_is_alone(box, by_frame) for box in moving]] if len(moving) else moving
    by_time: Floats = moving[np.argsort(moving[:, 0], kind="stable")]
    return by_time


def _with_speed(track: Floats) -> Floats:
    """The boxes of a track that have enough others around them, with the middle and the speed from a line."""
    found = []
    times = track[:, 0]
    for box in track:
        near = np.abs(times - box[0]) <= NEAR
        if near.sum() > NEAR:
            speed, middle = np.polyfit(times[near] - box[0] - 0.5, track[near, 2], 1)
            found.append((*box[:2], middle, *box[3:], speed))
    return np.array(found).reshape(-1, 7)


def _is_alone(box: Floats, by_frame: dict[int, Floats]) -> bool:
    """Whether no other box comes near in this frame or its neighbours."""
    time, identity, x, width, top, bottom, speed = box
    half = width * (0.5 + MARGIN) + 2 * abs(speed)
    around = np.concatenate([by_frame.get(int(time) + step, np.empty((0, 6))) for step in (-1, 0, 1)])
    beside = np.abs(around[:, 2] - x) < half + around[:, 3] / 2
    level = (around[:, 4] < bottom) & (around[:, 5] > top)
    return not (beside & level & (around[:, 1] != identity)).any()


def _distances(shown: Sequence[Grey], x: float, width: float, top: int, bottom: int) -> Floats | None:
    """From the middle of a box to that of the differences, for each shift; None where nothing differs."""
    half = width * (0.5 + MARGIN)
    left, right = round(x - half), round(x + half)
    if left < 0 or right > shown[0].shape[1]:
        return None
    parts = np.stack([frame[top:bottom, left:right] for frame in shown]).astype(np.int16)
    differences = np.abs(np.diff(parts, axis=0))
    energy = np.where(differences < NOISE, 0, differences).sum(1, dtype=float)
    total = energy.sum(1)
    return energy @ (np.arange(left, right) + 0.5 - x) / total if total.all() else None


def _offset(pairs: Sequence[tuple[float, Floats]]) -> float | None:
    """The offset of one track in frames from its speeds and distances; None if they do not agree."""
    if len(pairs) < 2:
        return None
    speed, distance = np.array([one for one, _ in pairs]), np.array([several for _, several in pairs])
    slopes = speed @ distance / (speed @ speed)
    rise, start = np.polyfit(np.arange(-SHIFT, SHIFT + 1), slopes, 1)
    return float(-start / rise) if rise >= LEAST_RISE else None


def _grey_frames(sample: Sample, scale: float) -> Iterator[Grey]:
    """The first frames, reduced; none if the film cannot be decoded or is shown turned."""
    width, height = (max(2, round(side * scale)) for side in sample.picture)
    if sample.camera.video.is_dir():
        yield from _grey_images(sample.camera, width, height)
        return
    av = import_av()
    try:
        with open_film(sample.camera.video) as (container, stream):
            for frame in container.decode(stream):
                if (frame.width, frame.height) != sample.picture or round(frame.rotation):
                    return
                reduced = frame.reformat(width=width, height=height, format="gray")
                yield np.asarray(reduced.to_ndarray(), np.uint8)
    except (av.FFmpegError, ValueError):
        return


def _grey_images(camera: Camera, width: int, height: int) -> Iterator[Grey]:
    try:
        paths = list_image_sequence(camera.video)
        for number in range(camera.start, camera.start + camera.frames):
            with Image.open(paths[number]) as image:
                image.draft("L", (width, height))
                reduced = upright(image).convert("L").resize((width, height), Image.Resampling.BOX)
                yield np.array(reduced)
    except (*DECODE_ERRORS, InputError, KeyError):
        return
