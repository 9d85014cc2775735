"""One camera's MOTChallenge text: lines of ``frame,id,left,top,width,height[,conf[,class[,visibility]]]``.

Frames count from 1 and boxes are in pixels, as in https://motchallenge.net. In its ground truth the
confidence is a flag (0: not to be considered) and 1 is the class of pedestrians; vehicles, static people,
occluders, reflections and crowds have other numbers (Milan et al., MOT16, 2016). Unknown ones are negative or
left out.
"""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sttreid.runtime.errors import InputError

COLUMNS = ("frame", "identity", "left", "top", "width", "height", "visibility", "line")
CONFIDENCE, CLASS, VISIBILITY = 6, 7, 8  # places in a line
PEDESTRIAN = 1


class Detection(NamedTuple):
    """One line: a person's box in one frame, with the line's number in its file."""

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
        all_lines: whether every line is a person that somebody wants to have re-identified; otherwise lines
            of confidence 0, or of a class that is known and not the pedestrians', are left out, and there may
            be none.

    Returns:
        One row a line, in the file's order, with the columns ``COLUMNS``: frame from 1, box in pixels,
        visibility between 0 and 1 (1 where the file does not say).

    Raises:
        InputError: the file is missing, is no text, or is empty with ``all_lines``; a line does not
            parse or breaks a rule; a person has two boxes in one frame.
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
    detections = [
        parse_line(path, number, line.strip(), frames)
        for number, line in enumerate(lines, 1)
        if all_lines or _considered(f"{path}:{number}", line)
    ]
    table = pd.DataFrame(detections, columns=list(COLUMNS))
    _check_unique(path, table)
    return table


def parse_line(path: Path, number: int, text: str, frames: int) -> Detection:
    """Read one line; ``path``, the line's ``number`` from 1 and the video's ``frames`` serve the checks."""
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
    return Detection(frame, identity, left, top, width, height, _visibility(where, words, text), number)


def _considered(where: str, text: str) -> bool:
    """Whether a line of ground truth is a pedestrian who counts; a missing or negative value is unknown."""
    words = [word.strip() for word in text.split(",")]
    flag = _number(where, "conf", words[CONFIDENCE], text) if len(words) > CONFIDENCE else 1.0
    kind = _number(where, "class", words[CLASS], text) if len(words) > CLASS else -1.0
    return flag != 0 and (kind < 0 or kind == PEDESTRIAN)


def _visibility(where: str, words: list[str], text: str) -> float:
    """The visible share; a missing or negative one (MOTChallenge's mark for unknown) counts as 1."""
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
    twice = table[table.duplicated(["frame", "identity"])]
    if len(twice):
        line, identity, frame = twice[["line", "identity", "frame"]].iloc[0].tolist()
        raise InputError(
            f"{path}:{line}: a person must have one box a frame, got identity {identity}"
            f" again in frame {frame}"
        )
