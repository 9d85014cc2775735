"""Frames by decord, which is used here and nowhere else.

Only one way to read with decord 0.6.0 is reliable, and this module enforces it: a fresh reader per pass,
one decoding thread, every frame in order, and ``fault_tol`` so small that the first repeated frame raises
(decord repeats a frame in place of one that it cannot decode). Random access silently returns neighbouring
frames of open-GOP H.264, HEVC and AVI files, and may hang on videos that were cut without re-encoding.

Frames are upright: decord applies rotations by 90, 180 and 270 degrees of the file's display matrix.

decord has no wheel for Linux on ARM and none for current macOS, so it is imported when a video is opened.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.data.film_files import ffmpeg_name
from sttreid.runtime.errors import DecodeError, InputError, PlaceError

FAULT_TOLERANCE: Final = 1e-4  # share of repeated frames; a single one is above it


def frames(path: Path, expected: int) -> Iterator[NDArray[np.uint8]]:
    """Decode a video from its first frame to its last.

    FFmpeg's lines on stderr are not suppressed: they are the only trace of a damaged frame that FFmpeg
    conceals.

    Yields:
        [H, W, 3], RGB, in decord's memory: valid until the next frame is asked for.

    Raises:
        PlaceError: decord cannot open the file, or counts another number of frames.
        DecodeError: a frame cannot be decoded.
        InputError: decord is not installed.
    """
    with _one_core():
        reader = _open(path)
        if len(reader) != expected:
            raise PlaceError(path, f"the video must hold {expected} frames, got {len(reader)}")
        for number in range(1, expected + 1):
            yield _next(reader, path, number, expected)


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this thread, and those that it starts meanwhile, on the core that it is on.

    decord's decoding thread fills memory with frames while this one waits for a core. On one core both wait.
    """
    where = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    if where is None or not hasattr(os, "sched_setaffinity"):  # not Linux
        yield
        return
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {where()})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


def _import_decord() -> Any:
    try:
        import decord
    except (ImportError, OSError) as error:  # OSError: a library that decord loads is missing
        reason = " ".join(str(error).split())
        raise InputError(
            f"decord is needed to decode videos, but cannot be imported ({reason}):"
            " pip install 'sttreid[pipeline]', or set decode.decoder to pyav"
        ) from error
    return decord


def _decode_errors() -> tuple[type[Exception], ...]:
    """The exceptions that decord raises for damaged files."""
    from decord._ffi.base import DECORDLimitReachedError

    return (_import_decord().DECORDError, DECORDLimitReachedError, RuntimeError, AssertionError)


def _open(path: Path) -> Any:
    """A decord.VideoReader."""
    decord = _import_decord()
    try:
        return decord.VideoReader(ffmpeg_name(path), num_threads=1, fault_tol=FAULT_TOLERANCE)
    except UnicodeEncodeError as error:
        rule = "decord takes names in UTF-8 only: set decode.decoder to pyav, or rename file and folder"
        raise PlaceError(path, f"cannot be opened as a video ({rule})") from error
    except _decode_errors() as error:
        rule = "decord does not read this container or codec: set decode.decoder to pyav, or re-encode it"
        raise PlaceError(path, f"cannot be opened as a video ({rule})") from error


def _next(reader: Any, path: Path, number: int, expected: int) -> NDArray[np.uint8]:
    try:
        return _three_channels(_view(reader.next()))
    except StopIteration:
        raise DecodeError(path, f"the video must hold {expected} frames, got only {number - 1}") from None
    except _decode_errors() as error:  # its message is a line of decord's source
        # decord decodes ahead, so one of the next frames may be the damaged one
        where = f"frame {number} of {expected}, or one of the next frames,"
        raise DecodeError(path, f"{where} cannot be decoded: the video is damaged") from error


def _view(frame: Any) -> NDArray[np.uint8]:
    """The pixels of a decord.nd.NDArray without a copy; keeps it alive."""
    tensor = frame.handle.contents
    memory: Any = (ctypes.c_uint8 * int(np.prod(frame.shape))).from_address(tensor.data + tensor.byte_offset)
    memory.owner = frame
    return np.ctypeslib.as_array(memory).reshape(frame.shape)


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
