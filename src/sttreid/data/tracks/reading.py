"""One tracks file -> boxes, and an account: each line is used, left out for a reason, or an error."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pandas as pd

from sttreid.config.datasets import OnError
from sttreid.config.track_format import Column
from sttreid.data.tracks.numbers import real, was_rounded, whole
from sttreid.data.tracks.syntax import Words
from sttreid.runtime.errors import InputError

COLUMNS: Final = ("frame", "identity", "left", "top", "width", "height", "visibility", "line")
LARGEST: Final = 2**31 - 1  # number that the store holds
NO_IDENTITY: Final = "without an identity (-1, nan or empty)"
IGNORED: Final = "marked to be ignored (0 in column 7)"
ANOTHER_CLASS: Final = "of another class"
EMPTY_BOX: Final = "of width or height 0 or less"
BEYOND: Final = "beyond the last frame"
UNKNOWN: Final = ("", "nan", "none", "null", "na", "n/a", "-", "unknown")

Identity = int | str
Row = tuple[int, str, Words]  # number, text and words of a line


@dataclass(frozen=True)
class Rules:
    """What the lines of a file mean.

    Attributes:
        columns: their meaning.
        persons: classes that are used, as numbers or lower-case names; None: all.
        labels: class number -> name, from labels.txt; may be empty.
        first_frame: the number of the first frame.
        frames: number of frames of the video.
        on_error: whether an empty box, or one beyond the last frame, is an error or left out.
        adjustable: whether params.yaml may declare another first frame.
    """

    columns: Sequence[Column]
    persons: tuple[int | str, ...] | None
    first_frame: int
    frames: int
    labels: Mapping[int, str] = field(default_factory=dict)
    on_error: OnError = "raise"
    adjustable: bool = True


@dataclass(frozen=True)
class Account:
    """What became of the lines of a file.

    Attributes:
        lines: of data, without header, comments and blank lines.
        used: lines that became a box.
        left_out: reason -> number of lines.
        classes: of the lines left out because of their class -> number of lines.
        examples: reason -> number of the first such line.
    """

    lines: int
    used: int
    left_out: Mapping[str, int]
    classes: Mapping[str, int]
    examples: Mapping[str, int]

    def without(self, count: int, reason: str) -> "Account":
        """The account after more boxes were left out."""
        left_out = {**self.left_out, reason: count} if count else self.left_out
        return replace(self, used=self.used - count, left_out=left_out)

    def __str__(self) -> str:
        """Lines read, boxes used, and boxes left out and why."""
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.items()]
        classes = ", ".join(f"{word}: {count:,}" for word, count in self.classes.items())
        why = f" ({'; '.join(reasons)}{f': {classes}' if classes else ''})" if reasons else ""
        return f"{self.lines:,} lines, {self.used:,} boxes used, {self.lines - self.used:,} left out{why}"


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of a file: columns ``COLUMNS`` with the frame from 1; identities as the file names them."""

    table: pd.DataFrame
    account: Account


class _LeftOutError(Exception):
    """A line that is no box of a person; the reason."""

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.reason, self.kind = reason, kind


def read_boxes(places: Callable[[int], str], rows: Iterator[Row], rules: Rules) -> Boxes:
    """Read the lines of one file.

    Args:
        places: number of a line -> where it is, for errors.
        rows: its lines of data.
        rules: what they mean.

    Raises:
        InputError: a line does not parse or breaks a rule; an identity has two boxes in one frame.
    """
    boxes, left_out, classes = [], Counter[str](), Counter[str]()
    examples: dict[str, int] = {}
    total = 0
    for number, text, words in rows:
        total += 1
        try:
            boxes.append(_Line(places(number), text, words, rules).box(number))
        except _LeftOutError as error:
            left_out[error.reason] += 1
            examples.setdefault(error.reason, number)
            if error.kind:
                classes[error.kind] += 1
    table = pd.DataFrame(boxes, columns=list(COLUMNS))
    if any(isinstance(one, str) or one > LARGEST for one in table["identity"].unique()):
        # as Python's numbers: int64 and uint64 together would become floats
        table["identity"] = pd.Series([box[1] for box in boxes], dtype=object)
    _check_unique(places, table)
    return Boxes(table, Account(total, len(boxes), left_out, classes, examples))


@dataclass(frozen=True)
class _Line:
    """One line, and its place for errors."""

    where: str
    text: str
    words: Words
    rules: Rules

    def box(self, number: int) -> tuple[object, ...]:
        needed = max(place for place, column in enumerate(self.rules.columns, 1) if column in _NEEDED)
        if len(self.words) < needed:
            wanted = ",".join(self.rules.columns[:needed])
            raise InputError(f"{self.where}: a line must hold at least {wanted}, got {self.text!r}")
        self._check_class()
        identity = self._identity()
        frame = self._frame()
        left, width = self._extent("left", "right", "x_center", "width")
        top, height = self._extent("top", "bottom", "y_center", "height")
        visibility = self._visibility()
        if width <= 0 or height <= 0:
            if self.rules.on_error == "skip":
                raise _LeftOutError(EMPTY_BOX)
            rule = "width and height of a box must be above 0"
            raise InputError(f"{self.where}: {rule}, got {width:g} and {height:g}")
        return frame, identity, left, top, width, height, visibility, number

    def _word(self, column: Column) -> str | None:
        if column not in self.rules.columns:
            return None
        place = self.rules.columns.index(column)
        return self.words[place] if place < len(self.words) else None

    def _check_class(self) -> None:
        """Raise _LeftOutError for a line that is marked to be ignored or is no person."""
        if (flag := self._word("flag")) is not None and self._number("flag", flag) == 0:
            raise _LeftOutError(IGNORED)
        word, persons = self._word("class"), self.rules.persons
        if not word or persons is None:
            return
        kind = whole(word)
        if kind is None and real(word) is not None:
            raise InputError(f"{self.where}: a class must be a whole number or a name, got {word!r}")
        name = self.rules.labels.get(kind, word) if kind is not None else word
        if kind is not None and kind < 0:  # unknown
            return
        if kind is not None and self.rules.labels and kind not in self.rules.labels:
            lines = f"1 to {max(self.rules.labels)}"
            raise InputError(f"{self.where}: a class must be a line of labels.txt, {lines}, got {word}")
        if kind not in persons and name.lower() not in persons:
            raise _LeftOutError(ANOTHER_CLASS, name)

    def _identity(self) -> Identity:
        word = self._word("id") or ""
        value = whole(word)
        if word.lower() in UNKNOWN or (value is not None and value < 0):
            raise _LeftOutError(NO_IDENTITY)
        if value is None and real(word) is not None:
            raise InputError(
                f"{self.where}: id must be a whole number or text, got {word!r} in {self.text!r}"
            )
        if was_rounded(word):
            rule = "an id must have all its digits (it was rounded when it was written, as by %g)"
            raise InputError(f"{self.where}: {rule}, got {word}")
        return word if value is None else value

    def _frame(self) -> int:
        """The frame from 1."""
        word = self._word("frame") or ""
        value = whole(word)
        if value is None or was_rounded(word):
            raise InputError(f"{self.where}: frame must be a whole number, got {word!r} in {self.text!r}")
        first, last = self.rules.first_frame, self.rules.first_frame + self.rules.frames - 1
        if value > last and self.rules.on_error == "skip":
            raise _LeftOutError(BEYOND)
        if not first <= value <= last:
            rule = f"frame must be between {first} and the video's {last}"
            remedy = (
                "; if the tracks count otherwise, set tracks.first_frame" if self.rules.adjustable else ""
            )
            raise InputError(f"{self.where}: {rule}, got {value}{remedy}")
        return value - first + 1

    def _extent(self, low: Column, high: Column, middle: Column, length: Column) -> tuple[float, float]:
        """Begin and length of a box along an axis."""
        columns = self.rules.columns
        begin = low if low in columns else middle
        start = self._number(begin, self._word(begin) or "")
        end = length if length in columns else high
        extent = self._number(end, self._word(end) or "")
        if end == high:
            extent -= start
        return (start - extent / 2 if begin == middle else start), extent

    def _visibility(self) -> float:
        """The visible share; 1 where it is missing or negative (MOTChallenge's mark for unknown)."""
        word = self._word("visibility")
        if not word:
            return 1.0
        value = self._number("visibility", word)
        if value > 1:
            raise InputError(f"{self.where}: visibility must be at most 1, got {word}")
        return value if value >= 0 else 1.0

    def _number(self, name: str, word: str) -> float:
        value = real(word)
        if value is None:
            raise InputError(f"{self.where}: {name} must be a number, got {word!r} in {self.text!r}")
        if not math.isfinite(value):
            raise InputError(f"{self.where}: {name} must be finite, got {word!r} in {self.text!r}")
        return value


_NEEDED: Final = {
    "frame", "id", "left", "top", "width", "height", "right", "bottom", "x_center", "y_center",
}  # fmt: skip


def _check_unique(places: Callable[[int], str], table: pd.DataFrame) -> None:
    repeated = table[table.duplicated(["frame", "identity"])]
    if len(repeated):
        line, identity, frame = repeated[["line", "identity", "frame"]].iloc[0].tolist()
        raise InputError(
            f"{places(line)}: an identity must have one box per frame, got identity {identity}"
            f" twice in frame {frame}"
        )
