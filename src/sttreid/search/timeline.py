"""Who was where when: tracklets as bars on a lane per camera and video.

Times are seconds from a video's first frame, so bars of two videos are comparable if both started together.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

STEPS: Final = (
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
)
TICKS: Final = 8  # at most, for each width of the page
NARROWEST: Final = 1.4  # per cent of the page's width that a bar takes at least
READABLE: Final = 4.0  # per cent of the page's width that the median bar takes, if that needs no large zoom
ZOOM: Final = 12.0  # largest
CLOSE: Final = 1.5  # a smaller zoom would make the page scroll and show little more
DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Sighting:
    """A tracklet in words.

    Attributes:
        row: of the gallery.
        camera: its place among the cameras of the page.
        place: name of the camera.
        video: file name.
        track: as the tracker calls it.
        name: what a query calls the tracklet.
        start: seconds from the video's first frame.
        end: the same.
        person: its place among the people of the page; None without identities.
        label: of that person; or empty.
    """

    row: int
    camera: int
    place: str
    video: str
    track: str
    name: str
    start: float
    end: float
    person: int | None = None
    label: str = ""

    @property
    def span(self) -> str:
        """When: the first and the last second, with tenths where whole seconds would say too little."""
        tenths = self.end - self.start < 10
        return f"{clock(self.start, tenths)} to {clock(self.end, tenths)}"


@dataclass(frozen=True)
class Bar:
    """A tracklet on its lane: left and width in per cent of the time axis, and its line from the top."""

    sighting: Sighting
    left: float
    width: float
    line: int


@dataclass(frozen=True)
class Lane:
    """A video of a camera; bars in order of their start, on as many lines as keep them apart."""

    camera: int
    place: str
    video: str
    bars: tuple[Bar, ...]
    lines: int


@dataclass(frozen=True)
class Timeline:
    """Lanes on one time axis.

    Attributes:
        lanes: in the order of cameras, then of videos.
        ticks: place on the axis in per cent, and time.
        zoom: widths of the page that make most bars readable.
    """

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    zoom: float


def timeline(sightings: Sequence[Sighting]) -> Timeline | None:
    """Lay out tracklets; None without any."""
    if not sightings:
        return None
    ends = max(one.end for one in sightings)
    starts = min(one.start for one in sightings)
    length = max(ends - starts, 1.0)
    usual = sorted(one.end - one.start for one in sightings)[len(sightings) // 2]
    zoom = round(min(ZOOM, READABLE / 100 * length / max(usual, length / 1000)), 1)
    zoom = zoom if zoom > CLOSE else 1.0
    order = sorted(sightings, key=lambda one: (one.camera, one.video, one.start, one.end, one.row))
    lanes = [
        _lane(list(group), starts, length, NARROWEST / zoom)
        for _, group in groupby(order, lambda one: (one.camera, one.video))
    ]
    return Timeline(tuple(lanes), tuple(_ticks(starts, length, TICKS * zoom)), zoom)


def clock(seconds: float, tenths: bool = False) -> str:
    """A time as a player shows it: 0:07, 12:40, 1:02:40, with tenths of a second 0:07.3."""
    parts = round(seconds * 10) if tenths else int(seconds) * 10
    minutes, rest = divmod(parts, 600)
    second = f"{rest // 10:02d}.{rest % 10}" if tenths else f"{rest // 10:02d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"


def visible(name: str) -> str:
    """A name in which every character can be seen: control characters, lone surrogates and marks that turn
    the direction of writing become their codes. A file name may hold all of them.
    """
    if name.isascii() and name.isprintable():
        return name
    return "".join(letter if _is_harmless(letter) else f"\\u{ord(letter):04x}" for letter in name)


def _is_harmless(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in DIRECTIONS


def _lane(sightings: list[Sighting], start: float, length: float, narrowest: float) -> Lane:
    """Each bar on the first line that is free."""
    bars: list[Bar] = []
    free: list[float] = []  # where each line's last bar ends
    for one in sightings:
        width = min(100.0, max(narrowest, 100 * (one.end - one.start) / length))
        left = min(100 * (one.start - start) / length, 100 - width)
        line = next((line for line, end in enumerate(free) if end <= left), len(free))
        free[line : line + 1] = [left + width]
        bars.append(Bar(one, round(left, 3), round(width, 3), line))
    first = sightings[0]
    return Lane(first.camera, first.place, first.video, tuple(bars), len(free))


def _ticks(start: float, length: float, most: float) -> Iterator[tuple[float, str]]:
    step = next((step for step in STEPS if length / step <= most), length)
    number = -int(-start // step)
    while number * step < start + length:
        seconds = number * step
        yield round(100 * (seconds - start) / length, 3), clock(seconds, tenths=step < 1)
        number += 1
