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

from sttreid.data.folder_listing import list_folder
from sttreid.data.tracks.numbers import real, whole
from sttreid.data.tracks.syntax import Words, lines, read_text
from sttreid.runtime.errors import InputError


def label_files(folder: Path, stem: str) -> dict[int, Path]:
    """Frame -> file of its labels, by ascending frame."""
    files = {}
    for name in list_folder(folder)[0]:
        match = re.fullmatch(rf"{re.escape(stem)}_(\d{{1,9}})\.txt", name, re.ASCII)
        if match and (folder / name).is_file():
            files[int(match.group(1))] = folder / name
    return dict(sorted(files.items()))


class LinePlaces:
    """Where the lines of tracks are, for errors: of a folder, the file and the line in it."""

    def __init__(self, tracks: Path, stem: str = "") -> None:
        """No line is read before its place in a folder is asked for.

        Args:
            tracks: the file, or the folder of labels.
            stem: of a folder: the name of the video.
        """
        self._tracks, self._stem, self._is_folder = tracks, stem, tracks.is_dir()
        self._in_folder: list[tuple[Path, int]] | None = None

    def __call__(self, number: int) -> str:
        """FILE:LINE of a line that counts over all files, from 1."""
        return "{}:{}".format(*self._find(number)) if self._is_folder else f"{self._tracks}:{number}"

    def short(self, number: int) -> str:
        """The same in a sentence that names the tracks."""
        if not self._is_folder:
            return f"line {number}"
        path, line = self._find(number)
        return f"{path.name}:{line}"

    def _find(self, number: int) -> tuple[Path, int]:
        if self._in_folder is None:
            files = label_files(self._tracks, self._stem).values()
            self._in_folder = [(path, line) for path in files for line, _ in lines(read_text(path))]
        return self._in_folder[number - 1]


def label_rows(folder: Path, stem: str, picture: tuple[int, int] | None) -> Iterator[tuple[int, str, Words]]:
    """The boxes of all frames in pixels, as lines ``frame id class x_center y_center width height``.

    Args:
        folder: of the labels.
        stem: of the video.
        picture: width and height of its frames.

    Yields:
        Number of the line, counted over all files (:class:`LinePlaces`), text, and words.

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
