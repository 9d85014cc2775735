"""Video files -> frames. decord is used here and nowhere else.

Only one way to read with decord 0.6.0 is reliable, and this module enforces it: a fresh reader per pass,
one decoding thread, every frame in order, and ``fault_tol`` so small that the first repeated frame raises
(decord repeats a frame in place of one that it cannot decode). Random access silently returns neighbouring
frames of open-GOP H.264, HEVC and AVI files, and may hang on videos that were cut without re-encoding.

Frames are upright: decord applies rotations by 90, 180 and 270 degrees of the file's display matrix. It
silently mishandles mirrored videos and other angles, so these are refused.

decord has no wheel for Linux on ARM and none for current macOS, so it is imported when a video is opened.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError, PlaceError

FAULT_TOLERANCE: Final = 1e-4  # share of repeated frames; a single one is above it

Matrix = tuple[float, float, float, float]


def frames(path: Path, expected: int) -> Iterator[NDArray[np.uint8]]:
    """Decode a video from its first frame to its last.

    The reader is released when the iterator ends or is closed. FFmpeg's lines on stderr are not suppressed:
    they are the only trace of a damaged frame that FFmpeg conceals.

    Args:
        path: a video file; .ts streams, cuts without re-encoding, AV1 and GIF raise an error.
        expected: the number of frames that it must hold.

    Yields:
        [H, W, 3], RGB, each in separate memory.

    Raises:
        PlaceError: the file is missing or not a video, is mirrored or rotated by an angle other than a
            multiple of 90 degrees, or holds another number of frames; or a frame cannot be decoded.
        InputError: decord is not installed.
    """
    reader = _open(path)
    if len(reader) != expected:
        raise PlaceError(path, f"the video must hold {expected} frames, got {len(reader)}")
    for number in range(1, expected + 1):
        yield _next(reader, path, number, expected)


def count_frames(path: Path) -> int:
    """The number of frames in a video's header; raises as :func:`frames` does when it opens the video."""
    return len(_open(path))


def _display_matrix(path: Path) -> Matrix | None:
    """How a player shows the frames: [x y] -> [x y] [[a, b], [c, d]]; None if the file does not say."""
    import av

    try:
        with av.open(str(path)) as container:
            matrix: Any = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
    except (av.FFmpegError, StopIteration):  # decord reports what is wrong
        return None
    if matrix is None:
        return None
    a, b, _, c, d, *_ = (number / 65536 for number in struct.unpack("9i", bytes(matrix)))
    return a, b, c, d


def _is_rotation(matrix: Matrix) -> bool:
    """Whether a display matrix rotates by a multiple of 90 degrees."""
    a, b, c, d = matrix
    return (a, b) == (d, -c) and sorted((abs(a), abs(b))) == [0, 1]


def _import_decord() -> Any:
    try:
        import decord
    except (ImportError, OSError) as error:  # OSError: a library that decord loads is missing
        reason = " ".join(str(error).split())
        raise InputError(
            f"decord is needed to decode videos, but cannot be imported ({reason}):"
            " pip install 'sttreid[pipeline]'"
        ) from error
    return decord


def _decode_errors() -> tuple[type[Exception], ...]:
    """The exceptions that decord raises for damaged files."""
    from decord._ffi.base import DECORDLimitReachedError

    return (_import_decord().DECORDError, DECORDLimitReachedError, RuntimeError, AssertionError)


def _open(path: Path) -> Any:
    """A decord.VideoReader."""
    if not path.is_file():
        raise PlaceError(path, "the video is missing")
    decord = _import_decord()
    try:
        reader = decord.VideoReader(str(path), num_threads=1, fault_tol=FAULT_TOLERANCE)
    except _decode_errors() as error:
        raise PlaceError(path, f"cannot be opened as a video ({_reason(error)})") from error
    matrix = _display_matrix(path)
    if matrix is not None and not _is_rotation(matrix):
        raise PlaceError(
            path,
            "the video must be shown upright or rotated by 90, 180 or 270 degrees, but it is mirrored"
            f" or rotated by another angle (display matrix {matrix}): re-encode it",
        )
    return reader


def _next(reader: Any, path: Path, number: int, expected: int) -> NDArray[np.uint8]:
    try:
        return _three_channels(reader.next().asnumpy())
    except StopIteration:
        raise PlaceError(path, f"the video must hold {expected} frames, got only {number - 1}") from None
    except _decode_errors() as error:
        # decord decodes ahead, so one of the next frames may be the damaged one
        where = f"frame {number} of {expected}, or one of the next frames,"
        raise PlaceError(path, f"{where} cannot be decoded ({_reason(error)})") from error


def _three_channels(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo decord's error for widths (48, 16, 24, 72, ...) that divide FFmpeg's padded line size.

    Such a frame [H, W, 3] arrives as [H, W, C] with C > 3: each line of W * 3 bytes is followed by its
    padding.
    """
    height, width, channels = frame.shape
    if channels == 3:
        return frame
    lines = frame.reshape(height, width * channels)[:, : width * 3]
    return np.ascontiguousarray(lines).reshape(height, width, 3)


def _reason(error: BaseException) -> str:
    """decord's message, without its time stamp, source line, failed condition and stack trace."""
    text = str(error).partition("\n")[0]
    if not text or text.startswith("Error reading"):
        return "it is cut short, damaged or no video"
    return re.sub(r"^.*(Check failed: .*\(\S+ vs\. \S+\)|\] )\s*", "", text) or text
