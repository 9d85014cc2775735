"""People as what moves in front of a fixed camera: background subtraction, without weights or downloads.

It finds whatever moves and is upright: people who stand still fade into the background, people who walk close
together share a box, and upright shadows, animals or vehicles count as people. The background is a mixture of
Gaussians per pixel with shadow detection (Zivkovic, "Improved adaptive Gaussian mixture model for background
subtraction", ICPR 2004), as OpenCV implements it.
"""

from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

WIDEST: Final = 768  # pixels; wider pictures are reduced
HISTORY: Final = 500  # frames that the background remembers; who stands still for a tenth of them fades
START: Final = 12  # frames that only teach the background, and fast, so that people in them leave no ghosts
FAST: Final = -1.0  # OpenCV's own rate, which falls with the number of frames
MOVING: Final = 255  # in OpenCV's mask; shadows are 127
SPECK: Final = 12  # pixels of a part that counts
GAP: Final = 0.03  # of the picture's height: parts above each other that belong together
LOWEST: Final = 0.06  # height of a person in heights of the picture
SLIMMEST: Final = 5.0  # height of a person in widths
WIDEST_PERSON: Final = 1.2

EVERY: Final = 10  # frames between two looks at the camera
LOOKS: Final = 10  # of which more than half must show a still camera
THUMBNAIL: Final = 160  # pixels of width
SHIFT: Final = 0.015  # of the width, between two looks
RESPONSE: Final = 0.2  # of the phase correlation, below which a shift is noise

Boxes = NDArray[np.float64]
Mask = NDArray[np.uint8]


class MotionDetector:
    """The detector ``motion`` for one film of a fixed camera.

    Raises:
        InputError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        try:
            import cv2
        except (ImportError, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"the detector motion needs OpenCV, which cannot be imported ({reason}):"
                " pip install 'sttreid[detect]'"
            ) from error
        self._cv: Any = cv2
        self._background = cv2.createBackgroundSubtractorMOG2(HISTORY, detectShadows=True)
        self._frames = 0
        self._last: NDArray[np.float32] | None = None  # thumbnail
        self._shifted: deque[bool] = deque(maxlen=LOOKS)

    def detect(self, frame: NDArray[np.uint8]) -> Boxes:
        """Boxes [N, 4] of what moves: left, top, right, bottom in pixels.

        Args:
            frame: [H, W, 3], RGB, the next one of the film.

        Raises:
            InputError: the camera moves.
        """
        scale = max(1.0, frame.shape[1] / WIDEST)
        small = frame if scale == 1 else self._resize(frame, WIDEST)
        if self._frames % EVERY == 0:
            self._look(small)
        mask = self._moving(small)
        self._frames += 1
        if self._frames <= START:
            return np.empty((0, 4))
        boxes = join_parts(self._parts(mask), GAP * mask.shape[0])
        found: Boxes = boxes[_may_be_people(boxes, mask.shape[0])] * scale
        return found

    def _resize(self, picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
        height = max(1, round(width * picture.shape[0] / picture.shape[1]))
        reduced: NDArray[np.uint8] = self._cv.resize(
            picture, (width, height), interpolation=self._cv.INTER_AREA
        )
        return reduced

    def _moving(self, picture: NDArray[np.uint8]) -> Mask:
        """1 where something moves; specks removed, and holes in a person closed, mostly upwards."""
        rate = FAST if self._frames < START else 1 / HISTORY
        mask = (self._background.apply(picture, learningRate=rate) == MOVING).astype(np.uint8)
        mask = self._cv.morphologyEx(mask, self._cv.MORPH_OPEN, np.ones((3, 3), np.uint8))
        closed: Mask = self._cv.morphologyEx(mask, self._cv.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        return closed

    def _parts(self, mask: Mask) -> Boxes:
        """A box around each connected part."""
        _, _, found, _ = self._cv.connectedComponentsWithStats(mask, connectivity=8)
        left, top, width, height, pixels = found[1:].T.astype(float)
        boxes: Boxes = np.stack([left, top, left + width, top + height], axis=1)[pixels >= SPECK]
        return boxes

    def _look(self, picture: NDArray[np.uint8]) -> None:
        """Compare the picture with that of the last look: a camera that moves shifts it as a whole."""
        grey = self._cv.cvtColor(self._resize(picture, THUMBNAIL), self._cv.COLOR_RGB2GRAY).astype(np.float32)
        if self._last is not None:
            window = self._cv.createHanningWindow(grey.shape[::-1], self._cv.CV_32F)
            shift, response = self._cv.phaseCorrelate(self._last, grey, window)
            self._shifted.append(response >= RESPONSE and np.hypot(*shift) > SHIFT * THUMBNAIL)
        self._last = grey
        if len(self._shifted) == LOOKS and sum(self._shifted) > LOOKS / 2:
            raise InputError(
                "the detector motion needs a camera that stands still, but the whole picture shifted in"
                f" {sum(self._shifted)} of {LOOKS} steps up to frame {self._frames + 1}: give tracks of"
                " another tool, or a detector that knows people"
            )


def join_parts(boxes: Boxes, gap: float) -> Boxes:
    """Join boxes that lie above each other, as head, body and legs do.

    Args:
        boxes: [N, 4] left, top, right, bottom.
        gap: the largest vertical distance, in pixels; half of the narrower box must lie under the other one.
    """
    joined: list[NDArray[np.float64]] = []
    waiting = list(boxes)
    while waiting:
        box = waiting.pop()
        near = [other for other in waiting if _belong_together(box, other, gap)]
        if not near:
            joined.append(box)
            continue
        waiting = [other for other in waiting if not any(other is one for one in near)]
        together = np.stack([box, *near])
        waiting.append(np.concatenate([together[:, :2].min(axis=0), together[:, 2:].max(axis=0)]))
    return np.stack(joined[::-1]) if joined else np.empty((0, 4))


def _belong_together(one: Boxes, other: Boxes, gap: float) -> bool:
    beside = min(one[2], other[2]) - max(one[0], other[0])
    apart = max(one[1], other[1]) - min(one[3], other[3])
    narrower = min(one[2] - one[0], other[2] - other[0])
    return bool(beside >= narrower / 2 and apart <= gap)


def _may_be_people(boxes: Boxes, height: int) -> NDArray[np.bool_]:
    """Whether the boxes have the size and the shape of a person, [N]."""
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shape: NDArray[np.bool_] = (high >= WIDEST_PERSON * wide) & (high <= SLIMMEST * wide)
    return shape & (high >= LOWEST * height)
