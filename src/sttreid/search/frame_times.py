"""When the frames of a video are shown, in seconds from the first.

A film need not have a constant rate: cameras drop frames in the dark or when nothing moves, and phones vary
it all the time. So the time stamps of the film decide, where it has them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.data.film_files import open_film
from sttreid.data.films import examine

USUAL: Final = 1 / 25  # seconds between two frames of a video that does not say
PAUSE: Final = 1.5  # a longer step than this many medians is no usual one

Integers = NDArray[np.int64]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """The times of a video's frames.

    Attributes:
        step: usual seconds between two frames.
        shown: [F] when each frame is shown, in seconds from the first; None: all steps are equal.
    """

    step: float
    shown: Seconds | None = None

    def starts(self, frames: Integers) -> Seconds:
        """When these frames, from 1, begin."""
        shown = (frames - 1) * self.step if self.shown is None else self.shown[frames - 1]
        return np.asarray(shown, np.float64)

    def ends(self, frames: Integers) -> Seconds:
        """When they end: a usual step after they began, since the next one may come hours later."""
        return self.starts(frames) + self.step


def frame_times(video: Path) -> FrameTimes:
    """The times of the frames of a film; 25 a second of a folder of images, which does not say.

    Raises:
        PlaceError: the film cannot be read.
        InputError: PyAV is not installed.
    """
    if video.is_dir():
        return FrameTimes(USUAL)
    stamps = examine(video).times
    with open_film(video) as (_, stream):
        rate, unit = stream.average_rate, stream.time_base
    if stamps is None or len(stamps) < 2 or not unit:
        return FrameTimes(float(1 / rate) if rate else USUAL)
    steps = np.diff(stamps)
    usual = float(steps[steps <= PAUSE * np.median(steps)].mean())
    return FrameTimes(usual * float(unit), (stamps - stamps[0]) * float(unit))


def seconds_per_frame(video: Path) -> float:
    """The usual time between two frames; errors as of :func:`frame_times`."""
    return frame_times(video).step
