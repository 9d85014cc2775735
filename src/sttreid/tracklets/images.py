"""Encoded pictures, end to end in a few large files, that are indexed like one array of pixels.

A published set stays as it was encoded: a million small files become a few shards, byte for byte, and a
picture is decoded when it is asked for. Those of a tracklet lie side by side, so a clip is one short read.
"""

import io
import os
import re
import weakref
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sttreid.runtime.errors import InputError

NEAR: Final = (
    128 * 1024
)  # bytes between two pictures that are rather read than skipped: the kernel reads ahead
PNG: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"IEND\xaeB`\x82"
JPEG: Final = b"\xff\xd8"
JPEG_END: Final = b"\xff\xd9"
SCAN: Final = 0xDA  # marker before the coded pixels
ALONE: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length
FRAME: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers before height and width
CUT: Final = "the picture is cut short"
FAILURES: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # all that Pillow raises

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]


def decode_picture(content: bytes, height: int, width: int) -> Pixels:
    """A JPEG or PNG as uint8 [height, width, 3], RGB, resized as crops of videos are.

    Raises:
        InputError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            resized = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except FAILURES as error:
        raise InputError(f"the picture cannot be decoded ({failure(error)})") from error
    return np.asarray(resized)


def failure(error: BaseException) -> str:
    """What Pillow says of a picture, in words that are the same in every run.

    Its own sentences may hold an object's address in memory or a path of the machine.
    """
    if isinstance(error, UnidentifiedImageError):
        return "its format cannot be told"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text if text and not re.search(r"<[^>]* object at |[/\\]", text) else type(error).__name__


class Check:
    """Tells whether bytes are a whole JPEG or PNG, from their markers alone.

    No pixel is decoded: this is a hundredth of the work, and sees what is cut short, empty, overwritten at
    its beginning, or no picture. Damage among the coded pixels shows neither here nor, mostly, when decoded.
    Pictures of one set tend to begin alike: the last beginning that was walked through is not walked again.
    """

    def __init__(self) -> None:
        self._header = JPEG  # up to the coded pixels; the walk begins behind it

    def damage(self, content: bytes) -> str | None:
        """Why these bytes are no whole picture; None if they may be."""
        if content.startswith(PNG):
            return None if PNG_END in content[-64:] else CUT
        if not content.startswith(JPEG):
            return "the file is no JPEG or PNG" if content else "the picture is empty"
        if len(self._header) <= len(JPEG) or not content.startswith(self._header):
            length = _header(content)
            if not length:
                return f"{CUT}, or its header is damaged"
            self._header = content[:length]
        return None if content.rfind(JPEG_END, len(self._header)) > 0 else CUT


def _header(content: bytes) -> int:
    """The number of bytes up to the marker before a JPEG's coded pixels, included; 0 if there are none."""
    place, seen = len(JPEG), False
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == SCAN:
            return place + 2 if seen else 0
        seen = seen or marker in FRAME
        if marker == 0xFF:
            place += 1
        elif marker in ALONE:
            place += 2
        else:
            place += 2 + max(2, int.from_bytes(content[place + 2 : place + 4], "big"))
    return 0


class Pictures:
    """F pictures in shards, read-only; ``pictures[rows]`` is what an array [F, H, W, 3] would give.

    The first index is a whole number, a slice, a mask or whole numbers of any shape; further ones are slices
    or whole numbers. Threads may share it.
    """

    dtype: Final = np.dtype(np.uint8)
    ndim: Final = 4

    def __init__(
        self, shards: Sequence[Path], places: tuple[Ints, Ints, Ints], height: int, width: int, names: Path
    ) -> None:
        """Open the shards.

        Args:
            shards: the files.
            places: shard, offset and number of bytes of every picture, [F] each.
            height: of a decoded picture, pixels.
            width: of a decoded picture, pixels.
            names: Parquet file of the F names, read when a picture cannot be decoded.

        Raises:
            InputError: a shard is missing or cut short.
        """
        self.shape = (len(places[0]), height, width, 3)
        self._shard, self._offset, self._length = places
        self._shards, self._names = shards, names
        self._files: list[int] = []
        weakref.finalize(self, _close, self._files)
        ends = np.zeros(len(shards), np.int64)
        np.maximum.at(ends, self._shard, self._offset + self._length)
        for path, end in zip(shards, ends.tolist(), strict=True):
            self._files.append(_open(path, end))

    def __len__(self) -> int:
        """F."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Pixels:
        """Decode some pictures, each once, in the order asked for; IndexError as an array would raise it."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, slice | int | np.integer) for part in rest):
            raise IndexError("only the first index of pictures may be an array")
        if isinstance(first, int | np.integer):
            part: Pixels = self._decode(self._rows(np.array([first])))[0][tuple(rest)]
            return part
        rows = self._rows(np.arange(len(self))[first] if isinstance(first, slice) else np.asarray(first))
        pixels = self._decode(rows.ravel()).reshape(*rows.shape, *self.shape[1:])
        return pixels[(slice(None),) * rows.ndim + tuple(rest)]

    def _rows(self, chosen: NDArray[Any]) -> Ints:
        """Numbers of pictures from 0."""
        if chosen.dtype == np.bool_:
            if chosen.shape != (len(self),):
                raise IndexError(f"a mask must have the shape ({len(self)},), got {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        if chosen.size and not np.issubdtype(chosen.dtype, np.integer):
            raise IndexError(f"pictures are indexed by whole numbers, got {chosen.dtype}")
        rows = chosen.astype(np.int64)
        wrong = rows[(rows < -len(self)) | (rows >= len(self))]
        if wrong.size:
            raise IndexError(f"picture {wrong[0]} is out of bounds of {len(self)}")
        return np.where(rows < 0, rows + len(self), rows)

    def _decode(self, rows: Ints) -> Pixels:
        wanted, turn = np.unique(rows, return_inverse=True)
        pixels = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        for place, content in enumerate(self._contents(wanted)):
            try:
                pixels[place] = decode_picture(content, *self.shape[1:3])
            except InputError as error:
                raise InputError(f"{self.name(int(wanted[place]))}: {error}") from error.__cause__
        return pixels if np.array_equal(wanted, rows) else pixels[turn]

    def _contents(self, rows: Ints) -> Iterator[bytes]:
        """The bytes of pictures by ascending row; what lies close together is one read."""
        shard, offset = self._shard[rows], self._offset[rows]
        end = offset + self._length[rows]
        apart = (np.diff(shard) != 0) | (offset[1:] - end[:-1] > NEAR) | (np.diff(offset) < 0)
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)] if len(rows) else [0]
        for start, stop in pairwise(edges):
            begin = int(offset[start])
            span = self._read(int(shard[start]), begin, int(end[stop - 1]) - begin)
            for place in range(start, stop):
                yield span[int(offset[place]) - begin : int(end[place]) - begin]

    def _read(self, shard: int, offset: int, length: int) -> bytes:
        content = os.pread(self._files[shard], length, offset)
        if len(content) < length:
            raise InputError(f"{self._shards[shard]}: the shard is cut short")
        return content

    def name(self, row: int) -> str:
        """Where a picture came from, relative to the root of its set."""
        column = pq.read_table(self._names)["name"]
        found: str = column[row].as_py()
        return found


def _open(path: Path, length: int) -> int:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{path}: the shard of the store cannot be opened ({error.strerror})") from error
    if (found := os.fstat(file).st_size) != length:
        os.close(file)
        raise InputError(f"{path}: the shard must hold {length} bytes, got {found}")
    return file


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
