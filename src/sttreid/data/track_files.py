"""Tracks files in the MOTChallenge format: ``frame,id,left,top,width,height[,conf[,class[,visibility]]]``.

One file holds the tracks of one camera. Frames count from 1 and boxes are in pixels, as in
https://motchallenge.net. In ground truth the confidence is a flag (0: the line is ignored) and class 1 is
pedestrians; vehicles, static persons, occluders, reflections and crowds have other classes (Milan et al.,
MOT16, 2016). An unknown value is negative or left out.
"""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sttreid.runtime.errors import InputError

COLUMNS = ("frame", "identity", "left", "top", "width", "height", "visibility", "line")
CONFIDENCE, CLASS, VISIBILITY = 6, 7, 8  # columns of a line
PEDESTRIAN = 1


class TrackLine(NamedTuple):
    """One line: the box of an identity in one frame, and the line's number in its file."""

    frame: int
    identity: int
    left: float
    top: float
    width: float
    height: float
    visibility: float
    line: int


def read_tracks(path: Path, frames: int, all_lines: bool = True) -> pd.DataFrame:
    """Read and check one camera's tracks.

    Args:
        path: the text file; a byte order mark, CRLF line ends and blank lines at its end are accepted.
        frames: number of frames of the camera's video.
        all_lines: whether every line counts; otherwise lines with confidence 0, or with a known class other
            than pedestrians, are left out, and the file may be empty.

    Returns:
        One row per line, in the file's order, with the columns ``COLUMNS``: frame from 1, box in pixels,
        visibility between 0 and 1 (1 where the file does not say).

    Raises:
        InputError: the file is missing, is not text, or is empty with ``all_lines``; a line does not
            parse or breaks a rule; an identity has two boxes in one frame.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
    except FileNotFoundError:
        raise InputError(f"{path}: the tracks file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the tracks cannot be read as text ({error})") from error
    if not text and all_lines:
        raise InputError(f"{path}: a tracks file must hold at least one line, got none")
    lines = text.split("\n") if text else []
    boxes = [
        parse_line(path, number, line.strip(), frames)
        for number, line in enumerate(lines, 1)
        if all_lines or _counts(f"{path}:{number}", line)
    ]
    table = pd.DataFrame(boxes, columns=list(COLUMNS))
    _check_unique(path, table)
    return table


def parse_line(path: Path, number: int, text: str, frames: int) -> TrackLine:
    """Read one line.

    Args:
        path: of its file, for errors.
        number: of the line, from 1.
        text: the line.
        frames: number of frames of the camera's video.

    Raises:
        InputError: the line does not parse or breaks a rule.
    """
    words = [word.strip() for word in text.split(",")]
    where = f"{path}:{number}"
    if len(words) < 6:
        raise InputError(f"{where}: a line must hold at least frame,id,left,top,width,height, got {text!r}")
    frame = _whole(where, "frame", words[0], text)
    identity = _whole(where, "id", words[1], text)
    if not 1 <= frame <= frames:
        raise InputError(f"{where}: frame must be between 1 and the video's {frames}, got {frame}")
    left, top = _number(where, "left", words[2], text), _number(where, "top", words[3], text)
    width, height = _number(where, "width", words[4], text), _number(where, "height", words[5], text)
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: width and height of a box must be above 0, got {words[4]} and {words[5]}")
    return TrackLine(frame, identity, left, top, width, height, _visibility(where, words, text), number)


def _counts(where: str, text: str) -> bool:
    """Whether a line is a pedestrian that counts; an unknown confidence or class counts."""
    words = [word.strip() for word in text.split(",")]
    flag = _number(where, "conf", words[CONFIDENCE], text) if len(words) > CONFIDENCE else 1.0
    kind = _number(where, "class", words[CLASS], text) if len(words) > CLASS else -1.0
    return flag != 0 and (kind < 0 or kind == PEDESTRIAN)


def _visibility(where: str, words: list[str], text: str) -> float:
    """The visible share; 1 where it is missing or negative (MOTChallenge's mark for unknown)."""
    if len(words) <= VISIBILITY:
        return 1.0
    value = _number(where, "visibility", words[VISIBILITY], text)
    if value > 1:
        raise InputError(f"{where}: visibility must be at most 1, got {words[VISIBILITY]}")
    return value if value >= 0 else 1.0


def _whole(where: str, name: str, word: str, text: str) -> int:
    value = _number(where, name, word, text)
    if not value.is_integer():
        raise InputError(f"{where}: {name} must be a whole number, got {word!r} in {text!r}")
    return int(value)


def _number(where: str, name: str, word: str, text: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"{where}: {name} must be a number, got {word!r} in {text!r}") from None
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} must be finite, got {word!r} in {text!r}")
    return value


def _check_unique(path: Path, table: pd.DataFrame) -> None:
    repeated = table[table.duplicated(["frame", "identity"])]
    if len(repeated):
        line, identity, frame = repeated[["line", "identity", "frame"]].iloc[0].tolist()
        raise InputError(
            f"{path}:{line}: an identity must have one box per frame, got identity {identity}"
            f" twice in frame {frame}"
        )
