"""Answers and identities -> what a page shows of them: film strips, queries with their answers, people."""

import base64
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd
from markupsafe import Markup
from PIL import Image

from sttreid.runtime.errors import InputError
from sttreid.search.answers import Answer, Answers
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery
from sttreid.search.timeline import Sighting, visible

GOLDEN: Final = 137.508  # degrees between the hues of successive people
FIRST: Final = 250.0  # hue of the first: blue


@dataclass(frozen=True)
class Strip:
    """A film strip: its number among those of the page, and its size in pixels."""

    number: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Strips:
    """All film strips of a page; each is kept once, however often it is shown."""

    files: dict[bytes, Strip] = field(default_factory=dict)

    def add(self, jpeg: bytes, owner: str) -> Strip | None:
        """The strip of a JPEG file; None if there is no file.

        Raises:
            InputError: the bytes are no JPEG file.
        """
        if jpeg and jpeg not in self.files:
            try:
                with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
                    self.files[jpeg] = Strip(len(self.files), *image.size)
            except (OSError, Image.DecompressionBombError) as error:
                raise InputError(f"film strip of {owner}: must be a JPEG file, got {jpeg[:12]!r}") from error
        return self.files[jpeg] if jpeg else None

    def json(self) -> Markup:
        """A list of base64 texts, of which no letter has a meaning in HTML."""
        texts = ",\n".join(f'"{base64.b64encode(jpeg).decode("ascii")}"' for jpeg in self.files)
        return Markup(f"[{texts}]")


@dataclass(frozen=True)
class Shown:
    """An answer on the page.

    Attributes:
        answer: as the search gave it.
        sighting: its tracklet.
        strip: its film strip, if the gallery has one.
        near: whether its distance passes the calibration's threshold; None without a calibration.
        link: number of the query that asks for this tracklet; None if no query of the page does.
    """

    answer: Answer
    sighting: Sighting
    strip: Strip | None
    near: bool | None
    link: int | None

    @property
    def distance(self) -> float:
        """With the digits that the page has."""
        return round(self.answer.distance, 4)

    @property
    def chance(self) -> str:
        """The probability in per cent; nothing is certain."""
        percent = 100 * (self.answer.probability or 0.0)
        return "< 1 %" if percent < 1 else "> 99 %" if percent > 99 else f"{percent:.0f} %"

    @property
    def percent(self) -> int:
        """The probability in whole per cent, rounded down: the filter's bound lets its own value pass."""
        return math.floor(100 * (self.answer.probability or 0.0))


@dataclass(frozen=True)
class Query:
    """A query and its answers.

    Attributes:
        number: from 1, in the order of the search.
        name: of a query that is no tracklet of the gallery; or empty.
        sighting: of a query that is one.
        strip: its film strip, if there is one.
        here: as in :class:`Answers`.
        remarks: as in :class:`Answers`.
        answers: nearest first.
        first: as in :class:`Answers`.
    """

    number: int
    name: str
    sighting: Sighting | None
    strip: Strip | None
    here: bool | None
    remarks: tuple[str, ...]
    answers: tuple[Shown, ...]
    first: bool | None

    @property
    def near(self) -> int:
        """How many answers pass the threshold."""
        return sum(bool(one.near) for one in self.answers)


@dataclass(frozen=True)
class Person:
    """An identity and all that the page shows of it, in order of time.

    Attributes:
        number: its place among the people.
        label: its name on the page.
        cameras: how many saw it.
        sightings: its tracklets, each with its film strip.
    """

    number: int
    label: str
    cameras: int
    sightings: tuple[tuple[Sighting, Strip | None], ...]

    @property
    def hue(self) -> float:
        """Of its colour, in degrees; successive people differ most."""
        return round((FIRST + GOLDEN * self.number) % 360, 1)


def sightings(
    rows: Sequence[int], gallery: Gallery, identities: Sequence[int | str] | None
) -> dict[int, Sighting]:
    """Row -> its tracklet. Cameras are numbered by name; people by how many cameras saw them, then by how
    often, then by time.
    """
    table = gallery.tracklets.iloc[list(rows)]
    names = sorted(table["camera"].unique(), key=_natural)
    cameras = {name: number for number, name in enumerate(names)}
    people = {} if identities is None else _people([identities[row] for row in rows], table)
    found = {}
    columns = table[["camera", "video", "track", "start", "end"]].itertuples(index=False)
    for row, (camera, video, track, start, end) in zip(rows, columns, strict=True):
        identity = None if identities is None else identities[row]
        person = None if identity is None else people[identity]
        label = f"P{identity}" if isinstance(identity, int) else identity or ""
        place = f"camera {camera}" if camera.isdecimal() else camera
        name = gallery.names[row]
        found[row] = Sighting(row, cameras[camera], place, video, track, name, start, end, person, label)
    return found


def queries(
    answers: Sequence[Answers],
    found: Mapping[int, Sighting],
    gallery: Gallery,
    calibration: Calibration | None,
    strips: Strips,
) -> list[Query]:
    """The queries in their order, from the sightings of their rows; film strips are added to ``strips``."""
    numbers = {one.query: number for number, one in enumerate(answers, start=1)}

    def shown(answer: Answer) -> Shown:
        strip = strips.add(gallery.strip(answer.row), f"row {answer.row}")
        near = answer.distance <= calibration.threshold if calibration else None
        return Shown(answer, found[answer.row], strip, near, numbers.get(answer.row))

    cards = []
    for number, one in enumerate(answers, start=1):
        inside = isinstance(one.query, int)
        jpeg = one.strip or (gallery.strip(one.query) if isinstance(one.query, int) else b"")
        strip = strips.add(jpeg, f"query {number}")
        sighting = found[one.query] if isinstance(one.query, int) else None
        name = "" if inside else str(one.query)
        ranked = tuple(map(shown, one.answers))
        cards.append(Query(number, name, sighting, strip, one.here, one.remarks, ranked, one.first))
    return cards


def people(found: Iterable[Sighting], gallery: Gallery, strips: Strips) -> list[Person]:
    """The people of sightings, in their order; film strips are added to ``strips``."""
    groups = defaultdict(list)
    for sighting in found:
        if sighting.person is not None:
            groups[sighting.person].append(sighting)
    cards = []
    for number in sorted(groups):
        seen = sorted(groups[number], key=lambda one: (one.start, one.end, one.row))
        pictures = tuple((one, strips.add(gallery.strip(one.row), f"row {one.row}")) for one in seen)
        cards.append(Person(number, seen[0].label, len({one.camera for one in seen}), pictures))
    return cards


def waiting(queries: Sequence[Query]) -> dict[str, Any]:
    """The answers that the page's script lists when they are needed, as plain values.

    Returns:
        seen: row -> [camera, place, span, name, person, label, strip, its width, its height] of each tracklet
        that answers; answers: number of a query -> [row, rank, distance, percent, chance, correct, near,
        link] of each answer. What is not known is None.
    """
    seen: dict[int, list[Any]] = {}
    for one in (one for query in queries for one in query.answers):
        who, strip = one.sighting, one.strip
        words = [visible(word) for word in (who.place, who.span, who.name)]
        picture = [strip.number, strip.width, strip.height] if strip else [None] * 3
        seen[who.row] = [who.camera, *words, who.person, visible(who.label), *picture]
    lists = {query.number: [_values(one) for one in query.answers] for query in queries}
    return {"seen": seen, "answers": lists}


def _values(one: Shown) -> list[Any]:
    answer = one.answer
    chance = None if answer.probability is None else one.chance
    ranked = [answer.row, answer.rank, one.distance, one.percent, chance]
    return [*ranked, answer.correct, one.near, one.link]


def _people(identities: Sequence[int | str], table: pd.DataFrame) -> dict[int | str, int]:
    """Identity -> its place among the people; both arguments are in the same order."""
    seen: dict[int | str, list[tuple[str, float]]] = defaultdict(list)
    for identity, camera, start in zip(identities, table["camera"], table["start"], strict=True):
        seen[identity].append((camera, start))

    def order(identity: int | str) -> tuple[int, int, float]:
        cameras, starts = zip(*seen[identity], strict=True)
        return -len(set(cameras)), -len(cameras), min(starts)

    return {identity: number for number, identity in enumerate(sorted(seen, key=order))}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers inside of names by value."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
