"""Content of a folder: image files and subfolders, the layout of a data set, and relative paths.

Symbolic links are followed. Hidden files, files that are not images, and what file managers and servers leave
(:data:`LITTER`) are ignored. Paths from lists are not trusted: none may leave the root of its data set.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.documents import check_path
from sttreid.runtime.errors import InputError

SUFFIXES: Final = (".jpg", ".jpeg", ".png")  # in any case
SHOWN: Final = 8  # names in a message
LITTER: Final = (
    "thumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "system volume information", "$recycle.bin",
    "lost+found",
)  # fmt: skip

Landmarks = tuple[tuple[str, ...], ...]  # layouts, each a set of glob patterns


class LayoutError(InputError):
    """A folder does not have the layout of a reader."""


def locate(folder: Path, reader: str, landmarks: Landmarks) -> Path:
    """The root of a data set: the folder, or its only subfolder with the landmarks.

    Args:
        folder: the root or its parent.
        reader: name of the reader, for errors.
        landmarks: layouts, each a set of glob patterns that all match below the root.

    Raises:
        LayoutError: no folder has the landmarks; the error names both the landmarks and the content.
        InputError: the folder does not exist; several subfolders have the landmarks.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder}: the folder of the data set {state}")
    if fits(folder, landmarks):
        return folder
    roots = [path for path in subfolders(folder) if fits(path, landmarks)]
    if len(roots) == 1:
        return roots[0]
    if roots:
        names = shorten([path.name for path in roots])
        raise InputError(f"{folder}: must hold one copy of {reader}, got {names}")
    wanted = " or ".join(", ".join(layout) for layout in landmarks)
    content = shorten(content_of(folder))
    raise LayoutError(
        f"{folder}: looked for {wanted} ({reader}) in this folder and its subfolders, found {content}"
    )


def fits(folder: Path, landmarks: Landmarks) -> bool:
    """Whether a folder has all landmarks of some layout."""
    return any(
        all(next(folder.glob(pattern), None) is not None for pattern in layout) for layout in landmarks
    )


def shorten(names: Sequence[str]) -> str:
    """The first names and the number of the others, for a message."""
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest if names else "nothing"


def first_existing(root: Path, candidates: Sequence[str], what: str) -> Path:
    """The first candidate below the root that exists; InputError, which names ``what``, if none does."""
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise InputError(f"{root}: {what} must be at {' or '.join(candidates)}, found none of them")


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, without hidden ones, by the numbers in their names, then by name.

    Raises:
        InputError: the folder cannot be listed.
    """
    names = [entry.name for entry in _entries(folder) if is_visible(entry.name) and _is(entry.is_dir)]
    return [folder / name for name in sorted(names, key=natural_key)]


def natural_key(name: str) -> tuple[tuple[int, ...], str]:
    """A sort key by which c2 precedes c10, with any padding."""
    return tuple(int(digits) for digits in re.findall(r"\d+", name)), name


def image_names(folder: Path) -> Iterator[str]:
    """The names of the image files in a folder, in no order; broken links are ignored.

    Raises:
        InputError: the folder cannot be listed.
    """
    return (
        entry.name
        for entry in _entries(folder)
        if entry.name.lower().endswith(SUFFIXES)
        and is_visible(entry.name)
        and _is(entry.is_file)
        and is_utf8(entry.name)  # Arrow cannot hold other names
    )


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """The names of all files in a folder, and of all folders in it, each sorted; none that is ignored.

    Raises:
        InputError: the folder cannot be listed.
    """
    files: list[str] = []
    folders: list[str] = []
    for entry in _entries(folder):
        if is_visible(entry.name):
            try:
                (folders if entry.is_dir() else files).append(entry.name)
            except OSError:  # a link to itself
                continue
    return sorted(files), sorted(folders)


def content_of(folder: Path) -> list[str]:
    """The names of all files and folders in a folder that are not ignored, sorted.

    Raises:
        InputError: the folder cannot be listed.
    """
    return sorted(name for names in list_folder(folder) for name in names)


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name is not ignored."""
    return name[0] != "." and name.lower() not in LITTER


def is_utf8(name: str) -> bool:
    """Whether a file name is UTF-8; Python holds other bytes as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def check_utf8(folder: Path, name: str) -> None:
    """Raise InputError unless the name of a folder in ``folder`` is UTF-8."""
    if not is_utf8(name):
        raise InputError(f"{folder}: a folder's name must be text in UTF-8, got {name!r}")


def check_relative(where: str, text: str) -> PurePosixPath:
    """A relative path from a list; ``where`` names its place in errors.

    Raises:
        InputError: it is empty, absolute, leads out of the root or through it with ``..``, or is too long.
    """
    path = PurePosixPath(text)
    windows = PureWindowsPath(text)
    absolute = path.is_absolute() or windows.is_absolute() or windows.drive or windows.root
    if absolute or "\0" in text or not path.parts or ".." in {*path.parts, *windows.parts}:
        raise InputError(f"{where}: a path must stay inside the data set, got {text!r:.100}")
    check_path(where, path)
    return path


def folder_numbers(root: Path, folders: Sequence[str], level: int) -> NDArray[np.int64]:
    """The number in a part of each path, for example in the last part with ``level`` -1, [N].

    Raises:
        InputError: the part is not a number.
    """
    parts = [PurePosixPath(folder).parts[level] for folder in folders]
    for part, folder in zip(parts, folders, strict=True):
        if not re.fullmatch(r"\d{1,9}", part, re.ASCII):
            raise InputError(f"{root / folder}: the folder {part!r} must be a number")
    return np.array(parts, np.str_).astype(np.int64)


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link to itself has no kind."""
    try:
        return kind()
    except OSError:
        return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror})") from error
