"""Whether boxes move with the pictures, or are some frames early or late: a check on the first frame.

Where something moves, two successive frames differ; the middle of the differences in and around a box should
be the middle of the box. Boxes that are late by a frame are behind by the way that they move in a frame. So,
for each track that moves, the distance between the two middles is compared with the speed, with the frames of
its boxes and of up to two frames earlier or later; the shift at which the distance does not depend on the
speed is the offset of the track. Only boxes without another box near them count, and only the first frames of
a few files are decoded, with few pixels.

Single tracks are noisy (a box jitters, a shadow moves along). On the rendered sets the median over the tracks
of a set is 0.3 to 0.5 frames where the numbers are right, and differs by one from that where they are wrong
by one. The limits ``EARLY`` and ``LATE`` leave room on both sides of these values.
"""

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
from sttreid.runtime.errors import InputError
from sttreid.tracklets.images import DECODE_ERRORS

FILES: Final = 8  # of which frames are decoded
FRAMES: Final = 250  # that are decoded, from the first
SHIFT: Final = 2  # frames earlier and later
NEAR: Final = 3  # frames around a box that give its speed
FEWEST: Final = 12  # tracks that a judgement needs
SLOWEST: Final = 0.05  # speed in widths of the box per frame
WIDTH: Final = 30.0  # of the median box after reduction, in pixels
MARGIN: Final = 0.5  # widths of a box on both sides in which differences count
NOISE: Final = 10  # grey levels by which still pixels may differ
LEAST_RISE: Final = 0.25  # of the distance with the shift, in speeds; else the picture moves otherwise
EARLY: Final = -0.3
LATE: Final = 0.8

Floats = NDArray[np.float64]
Grey = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Sample:
    """A file whose first frames are decoded: its camera, boxes (frames from 1 in the file), and picture."""

    camera: Camera
    boxes: pd.DataFrame
    picture: tuple[int, int]


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

    Empty if the film cannot be decoded.
    """
    boxes = sample.boxes[sample.boxes["frame"] <= FRAMES]
    scale = min(1.0, WIDTH / float(boxes["width"].median()))
    frames = list(islice(_grey_frames(sample, scale), min(FRAMES, int(boxes["frame"].max()) + SHIFT + 1)))
    if len(frames) < 2 * SHIFT + 2:
        return np.empty(0)
    table = pd.DataFrame({
        "frame": boxes["frame"] - 1, "identity": boxes["identity"],
        "x": (boxes["left"] + boxes["width"] / 2) * scale, "width": boxes["width"] * scale,
        "top": boxes["top"] * scale, "bottom": (boxes["top"] + boxes["height"]) * scale,
    })  # fmt: skip
    columns = ["frame", "identity", "x", "width", "top", "bottom"]
    rows = (
        table.assign(identity=pd.factorize(table["identity"])[0])
        .sort_values("frame")[columns]
        .to_numpy(float)
    )
    by_frame = {int(part[0, 0]): part[:, 1:] for part in _groups(rows, 0)}
    tracks = _groups(rows[np.argsort(rows[:, 1], kind="stable")], 1)
    offsets = [_offset(track, frames, by_frame) for track in tracks]
    return np.array([offset for offset in offsets if offset is not None])


def judge(offsets: Floats, first_frame: int) -> tuple[str | None, str | None]:
    """A remark on the tracks' offsets, and a warning if most are early or late; None: there are too few.

    Args:
        offsets: of all tracks, in frames.
        first_frame: the number that the tracks give to the first frame, as it was found or declared.
    """
    if len(offsets) < FEWEST:
        return None, None
    ordered, half = np.sort(offsets), len(offsets) / 2
    spread = 1.96 * np.sqrt(len(offsets)) / 2  # order statistics that enclose the median in 95 of 100 samples
    low, high = ordered[max(0, int(half - spread))], ordered[min(len(ordered) - 1, int(half + spread))]
    median = float(np.median(offsets))
    where = f"by the motion of {len(offsets)} tracks, the pictures are {median:.1f} frames after the boxes"
    remark = f"{where} ({low:.1f} to {high:.1f}; {EARLY:g} to {LATE:g} is usual)"
    if high >= EARLY and low <= LATE:
        return remark, None
    shift = int(np.sign(median)) * max(1, round(abs(median)))
    fits = f", {first_frame - shift} would fit" if first_frame >= shift else ""
    return remark, f"{where}: is tracks.first_frame right? It is {first_frame}{fits}"


def _groups(rows: Floats, column: int) -> list[Floats]:
    """The rows, sorted by a column, cut where it changes."""
    return np.split(rows, np.flatnonzero(np.diff(rows[:, column])) + 1)


def _offset(track: Floats, frames: Sequence[Grey], by_frame: dict[int, Floats]) -> float | None:
    """The offset of one track in frames; None if it hardly moves, or the pictures do not move with it."""
    found = list(_distances(track, frames, by_frame))
    if len(found) < 2:
        return None
    speed, distance = np.array([one for one, _ in found]), np.array([several for _, several in found])
    slopes = speed @ distance / (speed @ speed)
    rise, start = np.polyfit(np.arange(-SHIFT, SHIFT + 1), slopes, 1)
    return float(-start / rise) if rise >= LEAST_RISE else None


def _distances(
    track: Floats, frames: Sequence[Grey], by_frame: dict[int, Floats]
) -> Iterator[tuple[float, Floats]]:
    """Speed, and distances from the middle of the box to that of the differences, for each shift."""
    times = track[:, 0]
    for time, number, _, width, top, bottom in track:
        frame = int(time)
        near = np.abs(times - time) <= NEAR
        if near.sum() <= NEAR or not SHIFT <= frame < len(frames) - SHIFT - 1:
            continue
        speed, x = np.polyfit(times[near] - time - 0.5, track[near, 2], 1)  # between this frame and the next
        half = width * (0.5 + MARGIN)
        left, right, upper, lower = round(x - half), round(x + half), max(0, int(top)), int(bottom)
        if abs(speed) < SLOWEST * width or left < 0 or right > frames[0].shape[1]:
            continue
        if not _is_alone(number, (x, half + 2 * abs(speed), top, bottom), frame, by_frame):
            continue
        shown = np.stack([frames[one][upper:lower, left:right] for one in _around(frame)])
        differences = np.abs(np.diff(shown, axis=0))
        energy = np.where(differences < NOISE, 0, differences).sum(1, dtype=float)
        total = energy.sum(1)
        if total.all():
            yield float(speed), energy @ (np.arange(left, right) + 0.5 - x) / total


def _around(frame: int) -> range:
    return range(frame - SHIFT, frame + SHIFT + 2)


def _is_alone(
    number: float, window: tuple[float, float, float, float], frame: int, by_frame: dict[int, Floats]
) -> bool:
    """Whether no other box is in the window (middle, half width, top, bottom) around this frame."""
    x, half, top, bottom = window
    for time in (frame - 1, frame, frame + 1):
        for identity, middle, width, other_top, other_bottom in by_frame.get(time, np.empty((0, 5))):
            beside = abs(middle - x) < half + width / 2
            if identity != number and beside and other_top < bottom and other_bottom > top:
                return False
    return True


def _grey_frames(sample: Sample, scale: float) -> Iterator[Grey]:
    """The first frames, reduced; none if the film cannot be decoded or is shown turned."""
    width, height = (max(2, round(side * scale)) for side in sample.picture)
    if sample.camera.video.is_dir():
        yield from _grey_images(sample.camera, width, height)
        return
    import av

    try:
        with av.open(str(sample.camera.video)) as container:
            for frame in container.decode(video=0):
                if (frame.width, frame.height) != sample.picture:
                    return
                reduced = frame.reformat(width=width, height=height, format="gray")
                yield reduced.to_ndarray().astype(np.int16)
    except (av.FFmpegError, IndexError, ValueError):
        return


def _grey_images(camera: Camera, width: int, height: int) -> Iterator[Grey]:
    try:
        paths = list_image_sequence(camera.video)
        for number in range(camera.start, camera.start + camera.frames):
            with Image.open(paths[number]) as image:
                image.draft("L", (width, height))
                yield np.array(image.convert("L").resize((width, height), Image.Resampling.BOX), np.int16)
    except (*DECODE_ERRORS, InputError, KeyError):
        return
