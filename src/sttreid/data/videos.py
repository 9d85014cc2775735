"""Video files -> frames. decord is used here and nowhere else.

Only one way of reading with decord 0.6.0 is trustworthy, and this module allows no other: a fresh reader a
pass, one decoding thread, every frame in order, and ``fault_tol`` so small that the first frame which decord
would repeat in place of a missing one raises. Random access returns neighbouring frames without a word for
open-GOP H.264, HEVC and AVI files, and may hang for ever on videos that were cut without re-encoding.

Pictures come upright: decord turns them by 90, 180 and 270 degrees as the file's display matrix asks for. It
gets mirrored ones and other angles wrong without a word, so these are refused.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
from decord._ffi.base import DECORDLimitReachedError
from numpy.typing import NDArray

from sttreid.runtime.errors import PlaceError

FAULT_TOLERANCE = 1e-4  # share of repeated frames: any repetition at all is above it
FAILURES = (decord.DECORDError, DECORDLimitReachedError, RuntimeError, AssertionError)


def frames(path: Path, expected: int) -> Iterator[NDArray[np.uint8]]:
    """Decode a video from its first frame to its last.

    The reader is dropped when the iterator ends or is closed. FFmpeg's lines on stderr are let through: a
    damaged picture that it conceals leaves no other trace.

    Args:
        path: a video file; .ts streams, cuts without re-encoding, AV1 and GIF are refused by an error.
        expected: the number of frames that it must hold.

    Yields:
        [H, W, 3], RGB, each its own memory.

    Raises:
        PlaceError: the file is missing, is no video, must be shown mirrored or turned by no multiple of 90
            degrees, holds another number of frames, or a frame cannot be decoded.
    """
    reader = _open(path)
    if len(reader) != expected:
        raise PlaceError(path, f"the video must hold {expected} frames, got {len(reader)}")
    for number in range(1, expected + 1):
        yield _next(reader, path, number, expected)


def count_frames(path: Path) -> int:
    """How many frames a video says that it holds; PlaceError if :func:`frames` would not open it."""
    return len(_open(path))


Matrix = tuple[float, float, float, float]


def _display_matrix(path: Path) -> Matrix | None:
    """How a player shows the pictures: [x y] -> [x y] [[a, b], [c, d]]; None if the file does not say."""
    try:
        with av.open(str(path)) as container:
            found: Any = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
    except (av.FFmpegError, StopIteration):  # decord will say what is wrong
        return None
    if found is None:
        return None
    a, b, _, c, d, *_ = (number / 65536 for number in struct.unpack("9i", bytes(found)))
    return a, b, c, d


def _turns(matrix: Matrix) -> bool:
    a, b, c, d = matrix
    return (a, b) == (d, -c) and sorted((abs(a), abs(b))) == [0, 1]


def _open(path: Path) -> decord.VideoReader:
    if not path.is_file():
        raise PlaceError(path, "the video is missing")
    try:
        reader = decord.VideoReader(str(path), num_threads=1, fault_tol=FAULT_TOLERANCE)
    except FAILURES as error:
        raise PlaceError(path, f"cannot be opened as a video ({_reason(error)})") from error
    matrix = _display_matrix(path)
    if matrix is not None and not _turns(matrix):
        raise PlaceError(
            path,
            f"the video must be shown upright or turned by 90, 180 or 270 degrees, but it is mirrored"
            f" or turned by another angle (display matrix {matrix}): re-encode it",
        )
    return reader


def _next(reader: decord.VideoReader, path: Path, number: int, expected: int) -> NDArray[np.uint8]:
    try:
        return _three_channels(reader.next().asnumpy())
    except StopIteration:
        raise PlaceError(path, f"the video must hold {expected} frames, got only {number - 1}") from None
    except FAILURES as error:
        # decord decodes ahead: it may be one of the next frames that is damaged
        where = f"frame {number} of {expected}, or one soon after it,"
        raise PlaceError(path, f"{where} cannot be decoded ({_reason(error)})") from error


def _three_channels(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo decord's mistake for widths (48, 16, 24, 72, ...) that divide FFmpeg's padded line size.

    Such a frame [H, W, 3] arrives as [H, W, C] with C > 3: every line of W * 3 bytes is followed by its
    padding.
    """
    height, width, channels = frame.shape
    if channels == 3:
        return frame
    lines = frame.reshape(height, width * channels)[:, : width * 3]
    return np.ascontiguousarray(lines).reshape(height, width, 3)


def _reason(error: BaseException) -> str:
    """decord's own words, without its time stamp, source line, failed condition and stack trace."""
    text = str(error).partition("\n")[0]
    if not text or text.startswith("Error reading"):
        return "it is cut short, damaged or no video"
    return re.sub(r"^.*(Check failed: .*\(\S+ vs\. \S+\)|\] )\s*", "", text) or text
