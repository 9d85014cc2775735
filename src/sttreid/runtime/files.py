"""Read JSON and tables; write files atomically, so that no reader (DVC included) sees a partial file."""

import errno
import fcntl
import io
import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow.parquet as pq

from sttreid.runtime.documents import JSON_BYTES, parse_json, read_bytes, read_text, read_whole
from sttreid.runtime.errors import InputError
from sttreid.runtime.parquet import check_memory, without_categories

TABLE_BYTES: Final = 2**34  # of a Parquet file, which is read whole
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: the file cannot be read, is not JSON (the error names the line), or breaks a bound of
            :mod:`sttreid.runtime.documents`.
    """
    return parse_json(read_bytes(path, JSON_BYTES), path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in a sentence why nothing more can be written to the disk of a file or folder.

    Raises:
        InputError: the disk is full, or another limit is reached; other errors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(f"{path}: cannot be written ({os.strerror(error.errno)})") from error


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder that one process at a time may write; its parents are made.

    The lock is a hidden file beside it, which ends with it. The system releases the lock of a process that is
    killed.

    Raises:
        InputError: another one holds it.
    """
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not lock.exists() or lock.stat().st_ino != os.fstat(file).st_ino:  # it has just been released
            raise BlockingIOError
    except BlockingIOError:
        os.close(file)
        raise InputError(f"{path}: must have one writer, but another process is writing it") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(file)


def check_writable(path: Path) -> None:
    """Make the folders of a file that a long run writes at its end, and try to write there.

    Raises:
        InputError: the file cannot be written, or a folder has its name.
    """
    if path.is_dir():
        raise InputError(f"{path}: must be the name of a file, and is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def check_apart(written: Iterable[Path], read: Iterable[Path | None]) -> None:
    """Check that no file that a command writes is one that it reads; None is no file.

    Raises:
        InputError: one is.
    """
    inputs = {path.resolve() for path in read if path is not None}
    for path in written:
        if path.resolve() in inputs:
            raise InputError(f"{path}: would be replaced, but is read: give another name for the output")


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; missing folders are created.

    The bytes first go to a hidden file in the same folder, because a rename is atomic only inside one file
    system. A failure leaves the previous file unchanged.

    Raises:
        OSError: the folder cannot be created or written to; the error names the file, not the hidden one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):  # a full disk names no file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """As :func:`write_bytes`, in UTF-8, with line ends untouched on every system."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: object) -> None:
    """As :func:`write_text`: sorted keys, one value per line and a final newline keep Git's diffs small.

    Raises:
        ValueError: ``content`` holds NaN or an infinity, which JSON cannot represent.
        TypeError: ``content`` holds a value that JSON does not have.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """As :func:`write_bytes`: a table without its row names, as Parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def read_table(path: Path) -> pd.DataFrame:
    """A table from a Parquet file; categories are read as the values that they stand for.

    Raises:
        InputError: the file cannot be read, is not Parquet, takes too much memory or has categories in lists
            (:mod:`sttreid.runtime.parquet`), or has two columns of one name.
    """
    content = read_whole(path, TABLE_BYTES)
    try:
        with pq.ParquetFile(source := io.BytesIO(content)) as file:
            check_memory(path, file, source)
            names = Counter(file.schema_arrow.names)
        for name, count in names.items():
            if count > 1:
                raise InputError(f"{path}: the columns must have different names, got {name!r:.100} twice")
        return without_categories(pd.read_parquet(io.BytesIO(content)))
    except InputError:
        raise
    except Exception as error:  # pandas raises many types for damaged files, even KeyError
        reason = " ".join(str(error).split())  # some messages have several lines
        raise InputError(f"{path}: must be a Parquet table ({reason})") from error


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """A table from a text file with a header.

    Args:
        path: of the file, in UTF-8.
        options: of :func:`pandas.read_csv`.

    Raises:
        InputError: the file cannot be read, or is no such table; two columns have one name; or rows have more
            cells than the header.
    """
    text = read_text(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells without a header
            table = pd.read_csv(io.StringIO(text), index_col=False, **options)
        first = {**options, "dtype": str, "keep_default_na": False, "header": None, "nrows": 1}
        names = Counter(pd.read_csv(io.StringIO(text), **first).iloc[0].tolist())
    except Exception as error:  # pandas raises many types, even IndexError
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: must be a CSV or TSV table with a header ({reason})") from error
    name, count = names.most_common(1)[0]
    if count > 1:
        raise InputError(f"{path}: the columns must have different names, got {name!r:.100} {count} times")
    return table


def replace_folder(folder: Path, by: Path) -> None:
    """Replace ``folder`` by the finished folder ``by`` of the same parent.

    A non-empty folder cannot be the target of a rename, so the old one is renamed first.
    """
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        by.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
