"""Text lists of published sets, such as MARS' list of all image names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sttreid.runtime.errors import InputError

CHARACTERS: Final = 1 << 20  # read at once


def read_lines(path: Path) -> pa.Array:
    """The lines of a list, as :func:`line_blocks`, string [N]."""
    return pa.concat_arrays(list(line_blocks(path)))


def line_blocks(path: Path) -> Iterator[pa.Array]:
    """The lines of a list in UTF-8, with either line end, string, some megabytes of text at a time.

    White space at the end of a line and empty lines at the end of the list are ignored.

    Raises:
        InputError: the list is missing, cannot be read, is not text or is empty.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: the list must be a file, and is a folder or a device")
    blank, empty = 0, True  # blank: empty lines that count if another line follows
    try:
        with path.open(encoding="utf-8-sig") as file:
            while lines := file.readlines(CHARACTERS):
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
