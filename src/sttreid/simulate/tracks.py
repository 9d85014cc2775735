"""Boxes as a person detector and a tracker give them, mistakes included, and the text that keeps them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.truth import Truth

VISIBLE: Final = 0.25  # share of a person that must be seen for a box
FEWEST: Final = 4  # boxes of a track; shorter ones are dropped, as trackers do
GAP: Final = 3  # frames from one box to the next at most; after more the tracker starts another track
_SMALLEST: Final = 4.0  # pixels, of either side
_NARROWEST: Final = 0.38  # width of a box as a share of its height
_WIDEST: Final = 0.62
_MARGIN: Final = np.array([0.03, 0.02, 0.03, 0.02])  # left, top, right, bottom: detectors box generously
_UPRIGHT: Final = 0.6  # upper and lower edges are found better than the sides
_MEMORY: Final = 0.8  # of an edge's error from frame to frame
_CROSSING: Final = 0.3  # intersection over union of two boxes that a tracker may confuse


@dataclass(frozen=True)
class Box:
    """A line of the tracks, in pixels, and what is true about it."""

    identity: int  # as the tracks say
    left: float
    top: float
    width: float
    height: float
    truth: Truth

    @property
    def frame(self) -> int:
        """Counted from 1."""
        return self.truth.frame


class Detector:
    """The errors of one walk's boxes; they wander slowly, as a real detector's do."""

    def __init__(self, rng: np.random.Generator, jitter: float) -> None:
        self._rng, self._jitter = rng, jitter
        self._error: NDArray[np.float64] = rng.normal(0, jitter, 4)

    def box(self, truth: Truth, width: int, height: int) -> Box | None:
        """The box around a person as it is found, clipped to the picture of width x height pixels.

        None where too little of the person is seen. The upper edge never cuts the head.
        """
        fresh = self._rng.normal(0, self._jitter, 4)
        self._error = _MEMORY * self._error + np.sqrt(1 - _MEMORY**2) * fresh
        tall, middle = truth.height, truth.left + truth.width / 2
        wide = min(max(truth.width, _NARROWEST * tall), _WIDEST * tall)
        grow = (_MARGIN + self._error) * np.array([wide, tall * _UPRIGHT, wide, tall * _UPRIGHT])
        x0, x1 = max(0.0, middle - wide / 2 - grow[0]), min(float(width), middle + wide / 2 + grow[2])
        y0, y1 = max(0.0, truth.top - max(0.0, grow[1])), min(float(height), truth.top + tall + grow[3])
        if truth.visibility < VISIBLE or min(x1 - x0, y1 - y0) < _SMALLEST:
            return None
        return Box(truth.person, x0, y0, x1 - x0, y1 - y0, truth)


def lost(rng: np.random.Generator, length: int, share: float) -> range:
    """Frames of a walk of `length` frames in which the tracker has lost the person, with probability `share`.

    The track breaks there into two fragments; a walk that is too short for two stays whole.
    """
    breaks, places = rng.random() < share, length - 2 * FEWEST - GAP + 1
    start = FEWEST + int(rng.integers(max(places, 1)))
    return range(start, start + GAP) if breaks and places > 0 else range(0)


def fragments(frames: Iterable[int], gap: int) -> list[int]:
    """The number, from 0, of the track that each of the ascending frames belongs to."""
    numbers, before = [0], None
    for frame in frames:
        numbers.append(numbers[-1] + (before is not None and frame - before > gap))
        before = frame
    return numbers[1:]


def kept(boxes: list[Box]) -> list[Box]:
    """One person's boxes, in time, without tracks of fewer than FEWEST."""
    numbered = zip(fragments((box.frame for box in boxes), GAP), boxes, strict=True)
    tracks = [[box for _, box in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]
    return [box for track in tracks if len(track) >= FEWEST for box in track]


def switched(boxes: list[Box], share: float, toss: Callable[[int, int], float]) -> list[Box]:
    """The boxes of a camera after the tracker's identity switches.

    Where the boxes of two people first overlap by more than _CROSSING, the two go on under each other's
    number if `toss` of their true identities, a number from 0 to 1, is below `share`. Both must have been
    tracked for FEWEST frames, so that neither number is lost.
    """
    numbers: dict[int, int] = {}
    seen: dict[int, int] = defaultdict(int)
    met, out = set(), []
    for _, group in groupby(sorted(boxes, key=lambda box: box.frame), key=lambda box: box.frame):
        present = sorted(group, key=lambda box: box.truth.person)
        for one, other in combinations(present, 2):
            pair = one.truth.person, other.truth.person
            if pair not in met and overlap(one, other) > _CROSSING:
                met.add(pair)
                if min(seen[person] for person in pair) >= FEWEST and toss(*pair) < share:
                    first, second = (numbers.get(person, person) for person in pair)
                    numbers[pair[0]], numbers[pair[1]] = second, first
        for box in present:
            seen[box.truth.person] += 1
            out.append(replace(box, identity=numbers.get(box.truth.person, box.truth.person)))
    return out


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.width * one.height + other.width * other.height - shared)


def mot(boxes: list[Box]) -> str:
    """MOTChallenge lines, ordered by frame and identity.

    A line is `frame,id,left,top,width,height,conf,class,visibility`.
    """
    return "".join(
        f"{b.frame},{b.identity},{b.left:.1f},{b.top:.1f},{b.width:.1f},{b.height:.1f},"
        f"1,1,{b.truth.visibility:.2f}\n"
        for b in sorted(boxes, key=lambda box: (box.frame, box.identity))
    )
