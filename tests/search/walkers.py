"""Films of people made of plain colours on a still, textured ground, and a detector that knows them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
SIZE = (120, 160)  # H, W
BODY = (40, 16)
COLOURS = ((220, 30, 30), (30, 30, 220), (30, 160, 30))


@dataclass(frozen=True)
class Walker:
    """Somebody who walks along a line.

    Attributes:
        start: x of the left border in the first frame.
        top: y of the upper border.
        speed: pixels per frame.
        first: the first frame that shows him, from 0.
        last: the last one.
    """

    start: float
    top: int
    speed: float
    first: int = 0
    last: int = 10_000

    def left(self, frame: int) -> int:
        return round(self.start + self.speed * frame)


def ground(seed: int = 0) -> Frame:
    """Grey squares of 8 pixels, so that H.264 keeps them."""
    grey = np.random.default_rng(seed).integers(90, 150, (SIZE[0] // 8, SIZE[1] // 8, 1)).astype(np.uint8)
    return np.repeat(np.kron(grey, np.ones((8, 8, 1), np.uint8)), 3, axis=2)


def film(count: int, *walkers: Walker, colours: Sequence[Sequence[int]] = COLOURS) -> list[Frame]:
    """Frames of walkers, each in a colour of his own; a later one hides an earlier one."""
    frames = []
    for number in range(count):
        frame = ground()
        for walker, colour in zip(walkers, colours, strict=False):
            left = walker.left(number)
            if walker.first <= number <= walker.last and left + BODY[1] > 0:
                frame[walker.top : walker.top + BODY[0], max(0, left) : left + BODY[1]] = colour
        frames.append(frame)
    return frames


class ColourDetector:
    """Finds each colour, whether it moves or not, with a confidence of 0.5."""

    def detect(self, frame: Frame) -> list[list[float]]:
        boxes = []
        for colour in COLOURS:
            rows, columns = np.nonzero((np.abs(frame.astype(int) - colour) < 60).all(axis=2))
            if len(rows) > 40:
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.5])
        return boxes
