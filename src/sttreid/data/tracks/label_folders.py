"""Folders of normalised boxes, a file per frame, as ultralytics' ``save_txt`` writes them.

::

    labels/hall_12.txt     frame 12 of hall.mp4, from 1: class x_center y_center width height [conf] id

Numbers are shares of the picture. The confidence is there with ``save_conf``; the identity is last, and
missing where the tracker had none. A line of 5 words has no identity; of 6 words the last is an identity if
it is whole in all such lines, else a confidence.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sttreid.data.tracks.numbers import real, whole
from sttreid.data.tracks.syntax import Words, lines, read_text
from sttreid.runtime.errors import InputError


def label_files(folder: Path, stem: str) -> dict[int, Path]:
    """Frame -> file of its labels, by ascending frame."""
    files = {}
    for path in folder.iterdir():
        match = re.fullmatch(rf"{re.escape(stem)}_(\d{{1,9}})\.txt", path.name, re.ASCII)
        if match and path.is_file():
            files[int(match.group(1))] = path
    return dict(sorted(files.items()))


def label_rows(folder: Path, stem: str, picture: tuple[int, int] | None) -> Iterator[tuple[int, str, Words]]:
    """The boxes of all frames in pixels, as lines ``frame id class x_center y_center width height``.

    Args:
        folder: of the labels.
        stem: of the video.
        picture: width and height of its frames.

    Yields:
        Number of the line, counted over all files, text, and words.

    Raises:
        InputError: the size of the picture is unknown; a line has another number of words.
    """
    if picture is None:
        raise InputError(
            f"{folder}: the size of the picture must be known, but the video {stem} does not say it"
        )
    files = label_files(folder, stem)
    with_id = _sixth_is_identity(files)
    number = 0
    for frame, path in files.items():
        for line, text in lines(read_text(path)):
            number += 1
            yield number, text, _words(f"{path}:{line}", frame, text.split(), picture, with_id)


def _words(where: str, frame: int, words: Words, picture: tuple[int, int], with_id: bool) -> Words:
    if not 5 <= len(words) <= 7:
        raise InputError(
            f"{where}: a line must hold class x y width height [conf] [id], got {' '.join(words)!r}"
        )
    identity = words[-1] if len(words) == 7 or (len(words) == 6 and with_id) else ""
    box = []
    for word, pixels in zip(words[1:5], (*picture, *picture), strict=True):
        value = real(word)
        if value is None or not -1 <= value <= 2:
            raise InputError(f"{where}: a box must be given in shares of the picture, 0 to 1, got {word!r}")
        box.append(repr(value * pixels))
    return [str(frame), identity, words[0], *box]


def _sixth_is_identity(files: dict[int, Path]) -> bool:
    """Whether the last of six words is an identity: it is whole throughout, and no line has seven words."""
    sixth = True
    for path in files.values():
        for _, text in lines(read_text(path)):
            words = text.split()
            if len(words) == 7:
                return False
            if len(words) == 6 and whole(words[5]) is None:
                sixth = False
    return sixth
