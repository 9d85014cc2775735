"""Detectors of people: what one must do, and how one is named.

The built-in one is :mod:`sttreid.search.motion`. Any other object with the method ``detect`` will do.
"""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sttreid.data.crops import SLIVER
from sttreid.runtime.errors import InputError, PlaceError

NAMES: Final = {"motion": "sttreid.search.motion:MotionDetector"}
RULE: Final = "a detector must have the method detect(frame)"

Frame = NDArray[np.uint8]
Boxes = NDArray[np.float64]


@runtime_checkable
class Detector(Protocol):
    """Finds people in the frames of a film, which it is given in order."""

    def detect(self, frame: Frame) -> Any:
        """Boxes of people.

        Args:
            frame: [H, W, 3], RGB.

        Returns:
            [N, 4] left, top, right, bottom in pixels, or [N, 5] with a confidence; N may be 0.
        """
        ...


DetectorSource = str | Detector | Callable[[], Detector]


def load_detector(source: DetectorSource) -> Callable[[], Detector]:
    """What gives the detector of a film.

    Args:
        source: a detector, for all films; or what makes one without arguments, such as a class, for each
            film; or the name of either: ``motion``, or MODULE:ATTRIBUTE.

    Raises:
        InputError: there is no such module or attribute, or it is not a detector; a package is missing.
    """
    made = _import(source) if isinstance(source, str) else source
    if not isinstance(made, type) and isinstance(made, Detector):
        return lambda: made
    if not callable(made):
        raise InputError(f"{RULE}, got {source!r}")

    def make() -> Detector:
        detector = made()
        if not isinstance(detector, Detector):
            raise InputError(f"{RULE}, got {detector!r} of {source!r}")
        return detector

    ready = [make()]  # an error now, not after the first film
    return lambda: ready.pop() if ready else make()


def _import(name: str) -> Any:
    """The object that a name means; modules of the current folder count, after those that are installed."""
    module, colon, attribute = NAMES.get(name, name).partition(":")
    if not (module and colon and attribute):
        raise InputError(f"a detector must be {', '.join(NAMES)} or MODULE:ATTRIBUTE, got {name!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"the detector {name} cannot be imported ({error})") from error
    return value


def code_of(name: str) -> str:
    """The sha256 of the file in which a named detector is written; empty if there is none."""
    module = sys.modules.get(NAMES.get(name, name).partition(":")[0])
    source = inspect.getsourcefile(module) if module else None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""


def detect(detector: Detector, frame: Frame, video: Path, number: int) -> Boxes:
    """The boxes in a frame, checked.

    Args:
        detector: of this film.
        frame: [H, W, 3], RGB.
        video: for errors.
        number: of the frame, for errors.

    Returns:
        [N, 5] left, top, right, bottom, confidence (1 where it is not given). Parts outside of the frame are
        cut off; boxes that then show less than ``SLIVER`` pixels are left out.

    Raises:
        PlaceError: the detector breaks :class:`Detector`, or cannot be used for this film.
    """
    try:
        found = np.asarray(detector.detect(frame), np.float64)
    except InputError as error:
        raise PlaceError(video, str(error)) from error
    if found.size == 0:
        return np.empty((0, 5))
    if found.ndim != 2 or found.shape[1] not in (4, 5):
        rule = f"frame {number}: a detector must give boxes [N, 4], or [N, 5] with a confidence"
        raise PlaceError(video, f"{rule}, got {list(found.shape)}")
    boxes = np.ones((len(found), 5))
    boxes[:, : found.shape[1]] = found
    broken = ~np.isfinite(boxes).all(axis=1) | (boxes[:, :2] >= boxes[:, 2:4]).any(axis=1)
    if broken.any():
        rule = f"frame {number}: a detector's box must be left, top, right, bottom, in this order and finite"
        raise PlaceError(video, f"{rule}, got {found[np.argmax(broken)].tolist()}")
    height, width = frame.shape[:2]
    boxes[:, :4] = boxes[:, :4].clip(0, [width, height, width, height])
    shown: Boxes = boxes[(boxes[:, 2:4] - boxes[:, :2] >= SLIVER).all(axis=1)]
    return shown
