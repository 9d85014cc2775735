"""Flavours of tracks files: what the columns of each writer mean, and by which rules it is recognised.

Only these rules decide; what they leave open is an error that says what to set. The files of a data set that
have the same number of columns are judged together, since a camera may happen to see one class only. Columns
count from 1::

    cvat         labels.txt is beside the tracks (CVAT, Datumaro): column 8 is a line of it
    csv          a header names the columns (PETS and other tables), or column 7 or 8 holds names of classes
                 (names beside numbers, and names in columns 9 and 10, are refused)
    kitti        17 or 18 words, the third of which is a name
    mot_results  at most 7 columns, or column 8 is negative throughout, or 8 to 10 are 0 throughout; and not
                 whole numbers beyond 1 in column 7, which may be classes
    motmetrics   10 columns; 8 is not whole or of both signs, or 9 is beyond 1: world coordinates
    visdrone     10 columns; 7 and 9 are 0 or 1, 8 is 0 to 11 and not always 0, 10 is 0, 1 or 2
    mot_gt       8, 9 or 10 columns (the tenth is -1); 7 is 0 or 1, 8 is 1 to 13, 9 is at most 1
    boxmot       the same with a class 0: COCO's numbers from 0, person = 0
    trackeval    the same without a class 0 and with other confidences: person = 1

A class or a visibility of -1 is unknown, and counts. bytetrack and deepsort write mot_results; their names
may be declared, but nothing tells them apart.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from sttreid.config.track_format import Column, FlavourName
from sttreid.data.tracks.numbers import real
from sttreid.data.tracks.reading import UNKNOWN

NAMES: Final = ("person", "pedestrian", "people", "persons", "pedestrians", "human")


@dataclass(frozen=True)
class Flavour:
    """One way to write tracks.

    Attributes:
        name: in params.yaml.
        columns: their meaning; a line may end earlier, after the box.
        persons: the classes that are used; None: a class is not read.
        origin: the number of the first frame; None: writers differ.
        note: what is worth printing.
    """

    name: FlavourName
    columns: tuple[Column, ...]
    persons: tuple[int | str, ...] | None = None
    origin: int | None = None
    note: str = ""


_BOX: Final[tuple[Column, ...]] = ("frame", "id", "left", "top", "width", "height")
_KITTI: Final[tuple[Column, ...]] = (
    "frame", "id", "class", "unused", "unused", "unused", "left", "top", "right", "bottom",
)  # fmt: skip
FLAVOURS: Final[dict[FlavourName, Flavour]] = {
    flavour.name: flavour
    for flavour in (
        Flavour(
            "mot_gt", (*_BOX, "flag", "class", "visibility"), (1,), 1, "confidence 0 marks lines to ignore"
        ),
        Flavour("mot_results", (*_BOX, "conf"), note="the confidence drops no box"),
        Flavour(
            "cvat", (*_BOX, "flag", "class", "visibility"), NAMES, 1, "classes are the lines of labels.txt"
        ),
        Flavour(
            "visdrone",
            (*_BOX, "flag", "class"),
            (1, 2),
            1,
            "class 1 is pedestrian, 2 people, 0 ignored regions",
        ),
        Flavour("yolo", (), (0,), 1, "boxes are shares of the picture; class 0 is COCO's person"),
        Flavour("boxmot", (*_BOX, "conf", "class"), (0,), note="class 0 is COCO's person"),
        Flavour("bytetrack", (*_BOX, "conf"), note="the confidence drops no box"),
        Flavour("deepsort", (*_BOX, "conf"), note="the confidence drops no box"),
        Flavour(
            "trackeval", (*_BOX, "conf", "class", "visibility"), (1,), note="the confidence drops no box"
        ),
        Flavour("motmetrics", (*_BOX, "conf"), note="columns 8 to 10 are world coordinates, not classes"),
        Flavour("kitti", _KITTI, ("pedestrian", "person"), 0, "boxes are corners; frames count from 0"),
        Flavour("csv", (), NAMES, note="the header names the columns"),
    )
}


@dataclass
class Values:
    """What one column holds in all lines."""

    count: int = 0
    negative: int = 0
    zero: int = 0
    text: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    whole: bool = True

    def add(self, word: str) -> None:
        """Take note of a word; one that is no number makes the column not whole."""
        value = real(word)
        self.count += 1
        self.text += value is None and word.lower() not in UNKNOWN
        if value is None or value != value:
            self.whole = False
            return
        self.negative += value < 0
        self.zero += value == 0
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.whole = self.whole and value.is_integer()

    def merge(self, other: "Values") -> None:
        """Take over what another file's column holds."""
        self.count += other.count
        self.negative += other.negative
        self.zero += other.zero
        self.text += other.text
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.whole = self.whole and other.whole

    def within(self, low: float, high: float) -> bool:
        """Whether all are whole numbers between two limits."""
        return self.whole and low <= self.low and self.high <= high


@dataclass
class Profile:
    """What the files of one writer look like: columns from the seventh on, and the most columns of a line."""

    columns: int = 0
    third_is_name: bool = False
    values: dict[int, Values] = field(default_factory=dict)

    def add(self, words: list[str]) -> None:
        """Take note of a line."""
        self.columns = max(self.columns, len(words))
        self.third_is_name = self.third_is_name or (len(words) > 2 and real(words[2]) is None)
        for place in range(6, min(len(words), 10)):
            self.values.setdefault(place + 1, Values()).add(words[place])

    def merge(self, other: "Profile") -> None:
        """Take over what another file holds."""
        self.columns = max(self.columns, other.columns)
        self.third_is_name = self.third_is_name or other.third_is_name
        for place, values in other.values.items():
            self.values.setdefault(place, Values()).merge(values)


def detect(profile: Profile) -> tuple[Flavour, str] | str:
    """The flavour of files without a header and without labels, and the rule; or why there is none."""
    if profile.columns in (17, 18) and profile.third_is_name:
        return FLAVOURS["kitti"], f"{profile.columns} words, the third of which is a name"
    if profile.columns > 10:
        return f"{profile.columns} columns fit no known writer"
    seventh, eighth, ninth, tenth = (profile.values.get(place, Values()) for place in (7, 8, 9, 10))
    for place, column in ((7, seventh), (8, eighth), (9, ninth), (10, tenth)):
        if column.text and (place > 8 or column.low <= column.high):
            return f"column {place} holds names{'' if place > 8 else ' and numbers'}, which may be classes"
        if column.text:
            between: tuple[Column, ...] = ("conf",) if place == 8 else ()
            named = replace(FLAVOURS["csv"], columns=(*_BOX, *between, "class"), note="")
            return named, f"column {place} names classes"
    if seventh.whole and seventh.high > 1 and eighth.negative == eighth.count:
        return "column 7 may be a class or a confidence: its values are whole numbers beyond 1"
    if profile.columns <= 7:
        return FLAVOURS["mot_results"], f"{profile.columns} columns"
    if eighth.negative == eighth.count:
        return FLAVOURS["mot_results"], "column 8 is negative throughout"
    if profile.columns == 10 and all(column.within(0, 0) for column in (eighth, ninth, tenth)):
        return FLAVOURS["mot_results"], "columns 8 to 10 are 0 throughout"
    no_class = not eighth.whole or eighth.low < -1
    if profile.columns == 10 and (no_class or _is_world(ninth)):
        return FLAVOURS["motmetrics"], "columns 8 to 10 are no classes: not whole, or of both signs"
    if no_class:
        return "column 8 can be no class: its values are not whole numbers, or of both signs"
    if profile.columns == 10 and tenth.negative < tenth.count:
        fits = seventh.within(0, 1) and eighth.within(0, 11) and ninth.within(0, 1) and tenth.within(0, 2)
        if fits and eighth.high >= 1:
            return FLAVOURS["visdrone"], "columns 7 to 10 are score, category, truncation and occlusion"
        return "columns 8 to 10 may be a class or world coordinates"
    return _with_class(seventh, eighth)


def _with_class(seventh: Values, eighth: Values) -> tuple[Flavour, str] | str:
    if eighth.zero:
        return FLAVOURS["boxmot"], "the class in column 8 counts from 0, as in COCO"
    if eighth.high > 13:
        return f"the classes in column 8 go up to {eighth.high:g}, and none is 0: which are persons"
    if seventh.within(0, 1):
        return FLAVOURS["mot_gt"], "column 7 is 0 or 1, and column 8 a class of MOTChallenge"
    return FLAVOURS["trackeval"], "column 7 is a confidence, and column 8 a class of MOTChallenge"


def _is_world(ninth: Values) -> bool:
    """Whether column 9 can be no visibility: below -1, or beyond 1 and no mark."""
    return ninth.low < -1 or (ninth.high > 1 and not ninth.whole)
