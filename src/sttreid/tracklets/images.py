"""Encoded images, concatenated in a few large files, indexed like one array of pixels.

The images of a published set keep their encoding: a million small files become a few shards, byte for byte,
and are decoded on access. The images of a tracklet are adjacent, so a clip is one short read.
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

READ_AHEAD: Final = 128 * 1024  # bytes: images closer than this are one read (the kernel's read-ahead)
PNG: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"IEND\xaeB`\x82"
JPEG: Final = b"\xff\xd8"
JPEG_END: Final = b"\xff\xd9"
SCAN: Final = 0xDA  # marker before the coded pixels
WITHOUT_LENGTH: Final = {0x01, *range(0xD0, 0xD8)}  # markers
FRAME: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers before height and width
CUT_SHORT: Final = "the image is cut short"
DECODE_ERRORS: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # all of Pillow's

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]


def decode_image(content: bytes, height: int, width: int) -> Pixels:
    """A JPEG or PNG as uint8 [height, width, 3], RGB, resized as crops of videos are.

    Raises:
        InputError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            resized = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except DECODE_ERRORS as error:
        raise InputError(f"the image cannot be decoded ({describe_error(error)})") from error
    return np.asarray(resized)


def describe_error(error: BaseException) -> str:
    """An error of Pillow in words that are the same in every run and on every machine.

    Pillow's own messages may hold an object's address in memory or an absolute path.
    """
    if isinstance(error, UnidentifiedImageError):
        return "the format is unknown"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text if text and not re.search(r"<[^>]* object at |[/\\]", text) else type(error).__name__


class StructureCheck:
    """Checks whether bytes are a complete JPEG or PNG, from their markers alone.

    No pixel is decoded, which takes a hundredth of the time. The check detects files that are truncated,
    empty, overwritten at their beginning, or not images. It misses damage in the coded pixels, as decoding
    mostly does too. Images of one set tend to have equal headers, so the last header is cached.
    """

    def __init__(self) -> None:
        self._header = JPEG  # up to the coded pixels

    def damage(self, content: bytes) -> str | None:
        """Why these bytes are not a complete image; None if they may be."""
        if content.startswith(PNG):
            return None if PNG_END in content[-64:] else CUT_SHORT
        if not content.startswith(JPEG):
            return "the file is no JPEG or PNG" if content else "the image is empty"
        if len(self._header) <= len(JPEG) or not content.startswith(self._header):
            length = _header_length(content)
            if not length:
                return f"{CUT_SHORT}, or its header is damaged"
            self._header = content[:length]
        return None if content.rfind(JPEG_END, len(self._header)) > 0 else CUT_SHORT


def _header_length(content: bytes) -> int:
    """The number of bytes up to the marker before a JPEG's coded pixels, included; 0 if there are none."""
    position, has_frame = len(JPEG), False
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == SCAN:
            return position + 2 if has_frame else 0
        has_frame = has_frame or marker in FRAME
        if marker == 0xFF:
            position += 1
        elif marker in WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + max(2, int.from_bytes(content[position + 2 : position + 4], "big"))
    return 0


class EncodedImages:
    """F images in shards, read-only; ``images[rows]`` equals that of an array [F, H, W, 3].

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
            places: shard, offset and number of bytes of every image, [F] each.
            height: of a decoded image, pixels.
            width: of a decoded image, pixels.
            names: Parquet file of the F names, read when an image cannot be decoded.

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
            self._files.append(open_shard(path, end))

    def __len__(self) -> int:
        """F."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> Pixels:
        """Decode some images, each once, in the order of the key; raises IndexError as an array does."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, slice | int | np.integer) for part in rest):
            raise IndexError("only the first index of images may be an array")
        if isinstance(first, int | np.integer):
            part: Pixels = self._decode(self._rows(np.array([first])))[0][tuple(rest)]
            return part
        rows = self._rows(np.arange(len(self))[first] if isinstance(first, slice) else np.asarray(first))
        pixels = self._decode(rows.ravel()).reshape(*rows.shape, *self.shape[1:])
        return pixels[(slice(None),) * rows.ndim + tuple(rest)]

    def _rows(self, chosen: NDArray[Any]) -> Ints:
        """Numbers of images from 0."""
        if chosen.dtype == np.bool_:
            if chosen.shape != (len(self),):
                raise IndexError(f"a mask must have the shape ({len(self)},), got {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        if chosen.size and not np.issubdtype(chosen.dtype, np.integer):
            raise IndexError(f"images are indexed by whole numbers, got {chosen.dtype}")
        rows = chosen.astype(np.int64)
        wrong = rows[(rows < -len(self)) | (rows >= len(self))]
        if wrong.size:
            raise IndexError(f"image {wrong[0]} is out of bounds of {len(self)}")
        return np.where(rows < 0, rows + len(self), rows)

    def _decode(self, rows: Ints) -> Pixels:
        unique, order = np.unique(rows, return_inverse=True)
        pixels = np.empty((len(unique), *self.shape[1:]), np.uint8)
        for index, content in enumerate(self._contents(unique)):
            try:
                pixels[index] = decode_image(content, *self.shape[1:3])
            except InputError as error:
                raise InputError(f"{self.name(int(unique[index]))}: {error}") from error.__cause__
        return pixels if np.array_equal(unique, rows) else pixels[order]

    def _contents(self, rows: Ints) -> Iterator[bytes]:
        """The bytes of images by ascending row; images that are close together are read at once."""
        shard, offset = self._shard[rows], self._offset[rows]
        end = offset + self._length[rows]
        split = (np.diff(shard) != 0) | (offset[1:] - end[:-1] > READ_AHEAD) | (np.diff(offset) < 0)
        edges = [0, *(np.flatnonzero(split) + 1).tolist(), len(rows)] if len(rows) else [0]
        for start, stop in pairwise(edges):
            begin = int(offset[start])
            span = self._read(int(shard[start]), begin, int(end[stop - 1]) - begin)
            for index in range(start, stop):
                yield span[int(offset[index]) - begin : int(end[index]) - begin]

    def _read(self, shard: int, offset: int, length: int) -> bytes:
        content = os.pread(self._files[shard], length, offset)
        if len(content) < length:
            raise InputError(f"{self._shards[shard]}: the shard is cut short")
        return content

    def name(self, row: int) -> str:
        """The path of the original image, relative to the root of its set."""
        name: str = pq.read_table(self._names)["name"][row].as_py()
        return name


def open_shard(path: Path, length: int) -> int:
    """The file descriptor of a shard; InputError unless it has ``length`` bytes."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{path}: the shard of the store cannot be opened ({error.strerror})") from error
    size = os.fstat(file).st_size
    if size != length:
        os.close(file)
        raise InputError(f"{path}: the shard must hold {length} bytes, got {size}")
    return file


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
