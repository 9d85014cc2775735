"""The lines of a tracks file -> words: separator, header, comments.

A line is a comment if it begins with ``#``, ``%`` or ``//``; blank lines are passed over. The separator is
the one of comma, semicolon, tab and blanks that cuts most of the first lines into at least six words without
another separator, in this order if several do. Where it is not the comma, a comma is a decimal point. The
first line is a header if its first word is no number (of a table with an index it is empty), and so is a
comment before it that names frame, identity and box.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final

from sttreid.config.track_format import Separator
from sttreid.data.tracks.headers import columns_of
from sttreid.data.tracks.numbers import real
from sttreid.runtime.documents import read_whole
from sttreid.runtime.errors import InputError

SIGNS: Final[dict[Separator, str | None]] = {"comma": ",", "semicolon": ";", "tab": "\t", "space": None}
FEWEST: Final = 6  # words of a line: frame, id and four numbers of a box
_PROBED: Final = 1000  # lines that decide on the separator
_COMMENT: Final = ("#", "%", "//")

Words = list[str]


@dataclass(frozen=True)
class Syntax:
    """How the lines of a file are cut.

    Attributes:
        separator: of the words.
        header: the words of the header; None: there is none.
        header_line: number of the header's line, 0: there is none.
    """

    separator: Separator
    header: tuple[str, ...] | None = None
    header_line: int = 0


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without a byte order mark; UTF-16 with a mark is read too.

    Raises:
        InputError: it is missing or is not text.
    """
    if not path.exists():
        raise InputError(f"{path}: the tracks file is missing")
    content = read_whole(path)
    try:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the tracks cannot be read as text ({error})") from error
    if "\0" in text:
        raise InputError(f"{path}: the tracks cannot be read as text (it holds bytes of value 0)")
    return text


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number from 1, and text of every line that is neither blank nor a comment."""
    start, number = 0, 1
    for match in re.finditer(r"\r\n|\n|\r|\Z", text):
        line = text[start : match.start()].strip(" \r\n")
        start = match.end()
        if line.strip() and not line.lstrip().startswith(_COMMENT):
            yield number, line
        number += 1


def cut(line: str, separator: Separator) -> Words:
    """The words of a line, without blanks and quotation marks; empty words at its end do not count.

    A separator between quotation marks (``"person, adult"``, ``"10,5"``) cuts nothing.
    """
    words = [word.strip().strip("\"'").strip() for word in _split(line, separator)]
    while words and not words[-1]:
        words.pop()
    if separator != "comma":  # it is then free to be a decimal point
        words = [re.sub(r"(?<=\d),(?=\d)", ".", word) for word in words]
    return words


def _split(line: str, separator: Separator) -> list[str]:
    sign = SIGNS[separator]
    if '"' not in line:
        return line.split(sign)
    if sign is None:
        return re.findall(r'(?:"[^"]*"|\S)+', line)
    try:
        return next(csv.reader([line], delimiter=sign, skipinitialspace=True))
    except csv.Error:  # longer than any line of tracks
        return line.split(sign)


def find_syntax(path: Path, text: str, declared: Separator | None) -> Syntax:
    """The separator and the header of a file.

    Args:
        path: of the file, for errors.
        text: its content.
        declared: the separator, if params.yaml names it.

    Raises:
        InputError: no separator cuts any line into at least six words.
    """
    probed = list(islice(lines(text), _PROBED))
    if not probed:
        return Syntax(declared or "comma")
    counts: dict[Separator, int] = {sign: sum(_is_cut(line, sign) for _, line in probed) for sign in SIGNS}
    separator: Separator = declared or max(counts.items(), key=lambda pair: pair[1])[0]
    if not counts[separator] and not (
        declared and any(len(cut(line, declared)) >= FEWEST for _, line in probed)
    ):
        number, line = probed[0]
        signs = f"the separator {declared}" if declared else "comma, semicolon, tab or blanks"
        raise InputError(
            f"{path}:{number}: a line must hold at least frame,id,left,top,width,height, cut by {signs},"
            f" got {line!r}"
        )
    if comment := _header_in_comments(text, separator):
        return Syntax(separator, comment)
    number, line = probed[0]
    words = cut(line, separator)
    if words and real(words[0]) is None and any(map(str.isalpha, words[0] or "".join(words))):
        return Syntax(separator, tuple(words), number)
    return Syntax(separator)


def _header_in_comments(text: str, separator: Separator) -> tuple[str, ...]:
    """The words of a comment before the first line of data that names the columns; none: there is none."""
    for line in StringIO(text, newline=None):
        if line.strip() and not line.lstrip().startswith(_COMMENT):
            break
        for sign in (separator, *SIGNS):
            words = cut(line.strip().lstrip("#%/ \t"), sign)
            if columns_of(words):
                return tuple(words)
    return ()


def _is_cut(line: str, separator: Separator) -> bool:
    """Whether a separator gives at least six words, in none of which another one is left."""
    words = cut(line, separator)
    others = [sign for sign in ",;\t" if sign != SIGNS[separator]]
    return len(words) >= FEWEST and not any(sign in word for word in words for sign in others)


def rows(text: str, syntax: Syntax) -> Iterator[tuple[int, str, Words]]:
    """Number, text and words of every line of data."""
    for number, line in lines(text):
        if number != syntax.header_line:
            yield number, line, cut(line, syntax.separator)
