"""Temporary files without a name: the error of a full disk cannot name them, so it names their folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sttreid.runtime.errors import InputError

ADVICE: Final = "free some room there, or set TMPDIR to a folder on another disk"


def unnamed_file(folder: Path | None = None) -> IO[bytes]:
    """A file without a name, or deleted while open: it vanishes when it is closed.

    Args:
        folder: on whose disk it is; None: that of :func:`folder_of`.

    Raises:
        InputError: it cannot be made there.
    """
    with writing_unnamed(folder):
        return tempfile.TemporaryFile(dir=folder)


@contextmanager
def writing_unnamed(folder: Path | None) -> Iterator[None]:
    """Tell in a sentence why a file of :func:`unnamed_file` cannot be made or written.

    Raises:
        InputError: the disk of the folder is full, or another limit is reached; there is no such folder, or
            it cannot be written to.
    """
    try:
        yield
    except OSError as error:
        rule = f"temporary files cannot be written there ({error.strerror or error})"
        advice = "free some room there" if folder else ADVICE
        raise InputError(f"{folder_of(folder)}: {rule}: {advice}") from error


def folder_of(folder: Path | None) -> str:
    """The folder of unnamed files, or where it comes from, if no folder can be written to."""
    try:
        return str(folder or tempfile.gettempdir())
    except OSError:
        return "TMPDIR"
