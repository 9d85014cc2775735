"""Folders of data sets: which data set it is, what lies in it, and texts that may not lead out of it.

Symbolic links are followed, because whoever made the folder put them there; names that come from a list are
not trusted, and none may leave the root. Hidden files and files that are no pictures are passed over.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

SUFFIXES: Final = (".jpg", ".jpeg", ".png")  # in any case
LANDMARKS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {  # reader -> layouts, each a set of patterns
    "mars": (("bbox_train", "bbox_test", "info"),),
    "duke_video": (("train", "query", "gallery"), ("train_split", "query_split", "gallery_split")),
    "ls_vid": (("list_sequence",), ("info/list_sequence",)),
    "ilids_vid": (("i-LIDS-VID/sequences/cam1",), ("sequences/cam1",)),
    "prid2011": (("prid_2011/multi_shot/cam_a",), ("multi_shot/cam_a",)),
    "unreal_person": (("unreal_v[0-9]*.[0-9]*",), ("[0-9]*/[0-9]*_c[0-9]*_F[0-9]*_*",)),
}
_SHOWN: Final = 8  # names in a message
_TEXT: Final = 1 << 20  # characters of a list that are read at once


def locate(folder: Path, reader: str) -> Path:
    """The folder that a data set's parts lie in: the one given, or the only fitting one inside it.

    Raises:
        InputError: there is none; the sentence says what was looked for, what was found, and which reader
            would fit.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder}: the folder of the data set {state}")
    if _fits(folder, reader):
        return folder
    inner = [path for path in subfolders(folder) if _fits(path, reader)]
    if len(inner) == 1:
        return inner[0]
    if inner:
        raise InputError(f"{folder}: must hold one copy of {reader}, got {some([p.name for p in inner])}")
    wanted = " or ".join(", ".join(layout) for layout in LANDMARKS[reader])
    others = [name for name in LANDMARKS if any(_fits(path, name) for path in (folder, *subfolders(folder)))]
    hint = f"; it looks like {' or '.join(others)}" if others else ""
    raise InputError(
        f"{folder}: looked for {wanted} ({reader}), here and one folder further down,"
        f" found {some(sorted(path.name for path in folder.iterdir()))}{hint}"
    )


def _fits(folder: Path, reader: str) -> bool:
    return any(all(_has(folder, part) for part in layout) for layout in LANDMARKS[reader])


def _has(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None


def some(names: Sequence[str]) -> str:
    """The first of some names and how many more there are, for a message."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "nothing"


def first_of(root: Path, candidates: Sequence[str], what: str) -> Path:
    """The first candidate that exists; InputError if none does."""
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise InputError(f"{root}: {what} must lie at {' or '.join(candidates)}, found none of them")


def subfolders(folder: Path) -> list[Path]:
    """Folders directly inside, hidden ones left out, by the numbers in their names, then by name.

    Raises:
        InputError: the folder cannot be listed.
    """
    found = [entry.name for entry in _entries(folder) if entry.name[0] != "." and _leads_to(entry.is_dir)]
    return [folder / name for name in sorted(found, key=natural)]


def natural(name: str) -> tuple[tuple[int, ...], str]:
    """A key that sorts c2 before c10, whatever the padding."""
    return tuple(int(digits) for digits in re.findall(r"\d+", name)), name


def picture_names(folder: Path) -> Iterator[str]:
    """Names of the pictures in a folder, in no order; a link to nothing is no picture.

    Raises:
        InputError: the folder cannot be listed.
    """
    return (
        entry.name
        for entry in _entries(folder)
        if entry.name.lower().endswith(SUFFIXES)
        and entry.name[0] != "."
        and (not entry.is_symlink() or _leads_to(entry.is_file))
        and is_text(entry.name)  # Arrow could not hold another one
    )


def is_text(name: str) -> bool:
    """Whether a name on the disk is UTF-8; Python has surrogates in place of its bytes otherwise."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def check_text(folder: Path, name: str) -> None:
    """Raises InputError unless the name of something in a folder is UTF-8."""
    if not is_text(name):
        raise InputError(f"{folder}: a folder's name must be text in UTF-8, got {name!r}")


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link that leads round in a circle is of none."""
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


def read_lines(path: Path) -> pa.Array:
    """The lines of a list, as :func:`line_blocks`, string [N]."""
    return pa.concat_arrays(list(line_blocks(path)))


def line_blocks(path: Path) -> Iterator[pa.Array]:
    """The lines of a list in UTF-8, with either line end, string, some megabytes of text at a time.

    White space at a line's end and empty lines at the list's end do not count.

    Raises:
        InputError: the list is missing, cannot be read, is no text or is empty.
    """
    blank, empty = 0, True  # lines that count if another one follows
    try:
        with path.open(encoding="utf-8-sig") as file:
            while lines := file.readlines(_TEXT):
                texts = [""] * blank + [line.rstrip("\n") for line in lines]
                filled = next((n for n in range(len(texts), 0, -1) if texts[n - 1].strip()), 0)
                blank = len(texts) - filled
                if filled:
                    empty = False
                    yield pc.utf8_rtrim_whitespace(pa.array(texts[:filled], pa.string()))
    except FileNotFoundError:
        raise InputError(f"{path}: the list is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the list cannot be read as text ({error})") from error
    if empty:
        raise InputError(f"{path}: a list must hold at least one line, got none")


def inside(where: str, text: str) -> PurePosixPath:
    """A relative path from a list.

    Raises:
        InputError: it is empty, absolute, or leads out of the root or through it with ``..``.
    """
    path = PurePosixPath(text)
    windows = PureWindowsPath(text)
    bad = path.is_absolute() or windows.is_absolute() or windows.drive or windows.root or "\0" in text
    if bad or not path.parts or ".." in {*path.parts, *windows.parts}:
        raise InputError(f"{where}: a path must stay inside the data set, got {text!r}")
    return path


def numbered(root: Path, folders: Sequence[str], level: int) -> NDArray[np.int64]:
    """The number that a part of each path is, for example -1: the last one.

    Raises:
        InputError: the part is no number.
    """
    parts = [PurePosixPath(folder).parts[level] for folder in folders]
    for part, folder in zip(parts, folders, strict=True):
        if not re.fullmatch(r"\d{1,9}", part, re.ASCII):
            raise InputError(f"{root / folder}: the folder {part!r} must be a number")
    return np.array(parts, np.str_).astype(np.int64)
