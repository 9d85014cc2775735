"""Boxes like those of a person detector and a tracker, errors included, and their MOTChallenge lines."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.truth import Truth

MIN_VISIBILITY: Final = 0.25  # visible share of a person below which the detector finds no box
MIN_BOXES: Final = 4  # of a track; trackers drop shorter ones
MAX_FRAME_GAP: Final = 3  # frames between two boxes of a track; after a longer gap a new track begins
_MIN_SIDE: Final = 4.0  # pixels, of a box
_MIN_ASPECT: Final = 0.38  # width of a box as a share of its height
_MAX_ASPECT: Final = 0.62
_MARGIN: Final = np.array(
    [0.03, 0.02, 0.03, 0.02]
)  # left, top, right, bottom; detectors draw boxes generously
_VERTICAL: Final = 0.6  # errors of the upper and lower edge, as a share of those of the sides
_MEMORY: Final = 0.8  # correlation of an edge's error between frames
_CROSSING: Final = 0.3  # intersection over union above which a tracker may exchange two identities


@dataclass(frozen=True)
class Box:
    """One line of the tracks, in pixels, and the truth about it."""

    identity: int  # according to the tracks
    left: float
    top: float
    width: float
    height: float
    truth: Truth

    @property
    def frame(self) -> int:
        """The frame, counted from 1."""
        return self.truth.frame


class Detector:
    """The boxes of one walk; their errors change slowly, like those of a real detector."""

    def __init__(self, rng: np.random.Generator, jitter: float) -> None:
        self._rng, self._jitter = rng, jitter
        self._error: NDArray[np.float64] = rng.normal(0, jitter, 4)

    def box(self, truth: Truth, width: int, height: int) -> Box | None:
        """The detected box of a person, clipped to the image of width x height pixels.

        None if too little of the person is visible. The upper edge never cuts the head.
        """
        fresh = self._rng.normal(0, self._jitter, 4)
        self._error = _MEMORY * self._error + np.sqrt(1 - _MEMORY**2) * fresh
        tall, middle = truth.height, truth.left + truth.width / 2
        wide = min(max(truth.width, _MIN_ASPECT * tall), _MAX_ASPECT * tall)
        grow = (_MARGIN + self._error) * np.array([wide, tall * _VERTICAL, wide, tall * _VERTICAL])
        x0, x1 = max(0.0, middle - wide / 2 - grow[0]), min(float(width), middle + wide / 2 + grow[2])
        y0, y1 = max(0.0, truth.top - max(0.0, grow[1])), min(float(height), truth.top + tall + grow[3])
        if truth.visibility < MIN_VISIBILITY or min(x1 - x0, y1 - y0) < _MIN_SIDE:
            return None
        return Box(truth.person, x0, y0, x1 - x0, y1 - y0, truth)


def lost_frames(rng: np.random.Generator, length: int, share: float) -> range:
    """Frames of a walk in which the tracker loses the identity, with probability ``share``.

    They split the track into two; a walk that is too short for two tracks stays whole.
    """
    splits, choices = rng.random() < share, length - 2 * MIN_BOXES - MAX_FRAME_GAP + 1
    start = MIN_BOXES + int(rng.integers(max(choices, 1)))
    return range(start, start + MAX_FRAME_GAP) if splits and choices > 0 else range(0)


def track_numbers(frames: Iterable[int], max_gap: int) -> list[int]:
    """For each of the ascending frames, the number of its track (from 0)."""
    numbers, before = [0], None
    for frame in frames:
        numbers.append(numbers[-1] + (before is not None and frame - before > max_gap))
        before = frame
    return numbers[1:]


def drop_short_tracks(boxes: list[Box]) -> list[Box]:
    """The boxes of one walk, by frame, without tracks of fewer than MIN_BOXES boxes."""
    numbered = zip(track_numbers((box.frame for box in boxes), MAX_FRAME_GAP), boxes, strict=True)
    tracks = [[box for _, box in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]
    return [box for track in tracks if len(track) >= MIN_BOXES for box in track]


def switch_identities(boxes: list[Box], share: float, toss: Callable[[int, int], float]) -> list[Box]:
    """The boxes of a camera with the identity switches of the tracker.

    When the boxes of two persons first overlap by more than _CROSSING, the tracker exchanges their identities
    if ``toss`` of their true identities, a number from 0 to 1, is below ``share``. Both need at least
    MIN_BOXES boxes before that, so that neither identity is lost.
    """
    identities: dict[int, int] = {}  # true identity -> that of the tracks
    tracked: dict[int, int] = defaultdict(int)
    met, out = set(), []
    for _, group in groupby(sorted(boxes, key=lambda box: box.frame), key=lambda box: box.frame):
        present = sorted(group, key=lambda box: box.truth.person)
        for first, second in combinations(present, 2):
            pair = first.truth.person, second.truth.person
            if pair not in met and overlap(first, second) > _CROSSING:
                met.add(pair)
                if min(tracked[person] for person in pair) >= MIN_BOXES and toss(*pair) < share:
                    before = tuple(identities.get(person, person) for person in pair)
                    identities[pair[1]], identities[pair[0]] = before
        for box in present:
            tracked[box.truth.person] += 1
            out.append(replace(box, identity=identities.get(box.truth.person, box.truth.person)))
    return out


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    down = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (first.width * first.height + second.width * second.height - shared)


def mot_lines(boxes: list[Box]) -> str:
    """MOTChallenge lines, ordered by frame and identity.

    A line is ``frame,id,left,top,width,height,conf,class,visibility``.
    """
    return "".join(
        f"{b.frame},{b.identity},{b.left:.1f},{b.top:.1f},{b.width:.1f},{b.height:.1f},"
        f"1,1,{b.truth.visibility:.2f}\n"
        for b in sorted(boxes, key=lambda box: (box.frame, box.identity))
    )
