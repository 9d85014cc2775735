"""Names and numbers of millions of images, in temporary files: memory holds one block at a time.

The names are in one file, end to end; where each ends is in a second file, and each number (for example the
frame) is in a separate file. The files are unnamed, or deleted while open, so they vanish with the process.
They are read with plain reads, because the pages of a memory map count as memory of the process.
"""

import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sttreid.data.published.file_names import Ints
from sttreid.runtime.unnamed import unnamed_file, writing_unnamed

BLOCK: Final = 1 << 14  # images in memory at once, or those of one tracklet or folder if these are more
_WIDTH: Final = 8  # bytes of a number


class DiskBuffer:
    """A growing list of F images on disk: a name and some whole numbers of each.

    Names and numbers are read for any ranges of images; adjacent ranges are one read.

    Attributes:
        fields: names of the numbers.
    """

    def __init__(self, fields: Sequence[str], folder: Path | None = None) -> None:
        """Create the files.

        Args:
            fields: names of an image's numbers.
            folder: on whose disk the files are; None: the system's folder for temporary files, which may be
                in memory and which the environment variable TMPDIR changes.

        Raises:
            InputError: the folder cannot be written to, or its disk is full.
        """
        self.fields = tuple(fields)
        self._folder = folder
        self._count, self._bytes = 0, 0
        self._texts, self._ends = _temporary_file(self, folder), _temporary_file(self, folder)
        self._numbers = {field: _temporary_file(self, folder) for field in fields}
        with writing_unnamed(folder):
            _write(self._ends, bytes(_WIDTH))  # the first name begins at 0

    def __len__(self) -> int:
        """F."""
        return self._count

    def append(self, names: pa.Array, fields: Mapping[str, NDArray[Any]]) -> None:
        """Append N images.

        Args:
            names: string [N].
            fields: whole numbers or truth values, [N] each; at least the fields of the buffer.

        Raises:
            InputError: the disk is full; nothing can be appended any more.
        """
        if not len(names):
            return
        _, ends, texts = names.buffers()
        edges = np.frombuffer(ends, np.int32)[names.offset : names.offset + len(names) + 1]
        with writing_unnamed(self._folder):
            _write(self._texts, memoryview(texts)[edges[0] : edges[-1]])
            _write(self._ends, (edges[1:] - np.int64(edges[0]) + self._bytes).tobytes())
            for field, file in self._numbers.items():
                _write(file, fields[field].astype(np.int64).tobytes())
        self._count += len(names)
        self._bytes += int(edges[-1] - edges[0])

    def names(self, starts: Ints, lengths: Ints) -> pa.Array:
        """The names of the images in some ranges, end to end, string [sum of the lengths]."""
        edges, texts, total = [np.zeros(1, np.int64)], [], 0
        for start, stop in _runs(starts, lengths):
            ends = _read(self._ends, start, stop + 1)
            texts.append(os.pread(self._texts.fileno(), int(ends[-1] - ends[0]), int(ends[0])))
            edges.append(ends[1:] - ends[0] + total)
            total += len(texts[-1])
        offsets = np.concatenate(edges).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)

    def numbers(self, field: str, starts: Ints, lengths: Ints) -> Ints:
        """One number of the images in some ranges, end to end, int64 [sum of the lengths]."""
        parts = [_read(self._numbers[field], start, stop) for start, stop in _runs(starts, lengths)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _temporary_file(owner: DiskBuffer, folder: Path | None) -> IO[bytes]:
    file = unnamed_file(folder)
    weakref.finalize(owner, _close, file)
    return file


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what a full disk did not take is still in Python's buffer
        file.close()


def _write(file: IO[bytes], content: bytes | memoryview) -> None:
    file.write(content)
    file.flush()  # pread does not see Python's buffer


def _read(file: IO[bytes], start: int, stop: int) -> Ints:
    return np.frombuffer(os.pread(file.fileno(), (stop - start) * _WIDTH, start * _WIDTH), np.int64)


def _runs(starts: Ints, lengths: Ints) -> Iterator[tuple[int, int]]:
    """Start and end of the reads that some ranges need."""
    starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    ends = starts + lengths
    new = starts[1:] != ends[:-1]
    first, last = np.append(True, new)[: len(starts)], np.append(new, True)[: len(starts)]
    return zip(starts[first].tolist(), ends[last].tolist(), strict=True)


def blocks(lengths: Ints) -> Iterator[slice]:
    """Consecutive tracklets that together have at most a block of images, or one tracklet with more."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first] - lengths[first]
        stop = max(first + 1, int(np.searchsorted(ends, before + BLOCK, side="right")))
        yield slice(first, stop)
        first = stop


def folder_blocks(listings: Iterable[tuple[str, pa.Array]]) -> Iterator[list[tuple[str, pa.Array]]]:
    """Consecutive folders with their names, until they have a block of names or more."""
    block: list[tuple[str, pa.Array]] = []
    count = 0
    for folder, names in listings:
        block.append((folder, names))
        count += len(names)
        if count >= BLOCK:
            yield block
            block, count = [], 0
    if block:
        yield block
