"""Boxes as a person detector would give them, and the text in which they are kept."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats

VISIBLE: Final = 0.25  # share of a person that must be seen for a box
_SMALLEST: Final = 4.0  # pixels, of either side
_NARROWEST: Final = 0.38  # width of a box as a share of its height
_WIDEST: Final = 0.62
_MARGIN: Final = np.array([0.03, 0.02, 0.03, 0.02])  # left, top, right, bottom: detectors box generously
_UPRIGHT: Final = 0.6  # upper and lower edges are found better than the sides
_MEMORY: Final = 0.8  # of an edge's error from frame to frame


@dataclass(frozen=True)
class Box:
    """A line of the tracks: pixels, the frame counted from 1."""

    frame: int
    identity: int
    left: float
    top: float
    width: float
    height: float
    visibility: float


class Detector:
    """The errors of one walk's boxes; they wander slowly, as a real detector's do."""

    def __init__(self, rng: np.random.Generator, jitter: float) -> None:
        self._rng, self._jitter = rng, jitter
        self._error: NDArray[np.float64] = rng.normal(0, jitter, 4)

    def box(
        self, frame: int, identity: int, screen: Floats, visibility: float, width: int, height: int
    ) -> Box | None:
        """The box around the points `screen` [V, 2 or more] of a person, clipped to the picture.

        None where too little of the person is seen. The upper edge never cuts the head.
        """
        fresh = self._rng.normal(0, self._jitter, 4)
        self._error = _MEMORY * self._error + np.sqrt(1 - _MEMORY**2) * fresh
        left, top = screen[:, :2].min(0).astype(float)
        right, bottom = screen[:, :2].max(0).astype(float)
        tall, middle = bottom - top, (left + right) / 2
        wide = min(max(right - left, _NARROWEST * tall), _WIDEST * tall)
        grow = (_MARGIN + self._error) * np.array([wide, tall * _UPRIGHT, wide, tall * _UPRIGHT])
        x0, x1 = max(0.0, middle - wide / 2 - grow[0]), min(float(width), middle + wide / 2 + grow[2])
        y0, y1 = max(0.0, top - max(0.0, grow[1])), min(float(height), bottom + grow[3])
        if visibility < VISIBLE or min(x1 - x0, y1 - y0) < _SMALLEST:
            return None
        return Box(frame, identity, x0, y0, x1 - x0, y1 - y0, visibility)


def mot(boxes: list[Box]) -> str:
    """MOTChallenge lines, ordered by frame and identity.

    A line is `frame,id,left,top,width,height,conf,class,visibility`.
    """
    return "".join(
        f"{b.frame},{b.identity},{b.left:.1f},{b.top:.1f},{b.width:.1f},{b.height:.1f},1,1,{b.visibility:.2f}\n"
        for b in sorted(boxes, key=lambda box: (box.frame, box.identity))
    )
