"""What is known of every picture, in files without a name: memory holds a block of pictures at a time.

A real data set has millions of pictures. Their names lie end to end in one file, where each ends in a second
one, and every number of theirs (the frame, say) in a file of its own. The files are made without a name or
lose it at once, so they go away with the process, however it ends. They are read with plain reads: pages of
a map would count as the process's memory.
"""

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sttreid.data.readers.names import Ints

BLOCK: Final = 1 << 14  # pictures that memory holds at once, a tracklet's or a folder's more at most
_WIDTH: Final = 8  # bytes of a number


class Spool:
    """F pictures on the disk: their names, and some whole numbers of each, to which more are appended.

    Names and numbers are read of any ranges of pictures; ranges that follow each other are one read.

    Attributes:
        fields: what the numbers are called.
    """

    def __init__(self, fields: Sequence[str], folder: Path | None = None) -> None:
        """Make the files.

        Args:
            fields: what the numbers of a picture are called.
            folder: on whose disk they lie; None is the system's folder for temporary files, which may be one
                in memory and which the environment variable TMPDIR moves.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.fields = tuple(fields)
        self._count, self._bytes = 0, 0
        self._texts, self._ends = _file(self, folder), _file(self, folder)
        self._numbers = {field: _file(self, folder) for field in fields}
        _put(self._ends, bytes(_WIDTH))  # the first name begins at 0

    def __len__(self) -> int:
        """F."""
        return self._count

    def append(self, names: pa.Array, fields: Mapping[str, NDArray[Any]]) -> None:
        """Put N pictures behind the others.

        Args:
            names: string [N].
            fields: at least those that the spool has, whole numbers or truth values, [N] each.
        """
        if not len(names):
            return
        _, places, texts = names.buffers()
        edges = np.frombuffer(places, np.int32)[names.offset : names.offset + len(names) + 1]
        _put(self._texts, memoryview(texts)[edges[0] : edges[-1]])
        _put(self._ends, (edges[1:] - np.int64(edges[0]) + self._bytes).tobytes())
        for field, file in self._numbers.items():
            _put(file, fields[field].astype(np.int64).tobytes())
        self._count += len(names)
        self._bytes += int(edges[-1] - edges[0])

    def names(self, starts: Ints, lengths: Ints) -> pa.Array:
        """The names of some ranges of pictures, end to end, string [sum of the lengths]."""
        edges, texts, total = [np.zeros(1, np.int64)], [], 0
        for start, stop in _runs(starts, lengths):
            own = _read(self._ends, start, stop + 1)
            texts.append(os.pread(self._texts.fileno(), int(own[-1] - own[0]), int(own[0])))
            edges.append(own[1:] - own[0] + total)
            total += len(texts[-1])
        places = np.concatenate(edges).astype(np.int32)
        buffers = [None, pa.py_buffer(places), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.string(), len(places) - 1, buffers)

    def numbers(self, field: str, starts: Ints, lengths: Ints) -> Ints:
        """One of their numbers, int64 [sum of the lengths]."""
        found = [_read(self._numbers[field], start, stop) for start, stop in _runs(starts, lengths)]
        return np.concatenate(found) if found else np.empty(0, np.int64)


def _file(owner: Spool, folder: Path | None) -> IO[bytes]:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    weakref.finalize(owner, file.close)
    return file


def _put(file: IO[bytes], content: bytes | memoryview) -> None:
    file.write(content)
    file.flush()  # it is read around the buffer


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
    """Tracklets that follow each other, together a block of pictures if none alone has more."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first] - lengths[first]
        stop = max(first + 1, int(np.searchsorted(ends, before + BLOCK, side="right")))
        yield slice(first, stop)
        first = stop


def batches(listed: Iterable[tuple[str, pa.Array]]) -> Iterator[list[tuple[str, pa.Array]]]:
    """Folders with names that follow each other, together a block of names or, with the last one's, more."""
    batch: list[tuple[str, pa.Array]] = []
    held = 0
    for folder, names in listed:
        batch.append((folder, names))
        held += len(names)
        if held >= BLOCK:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
