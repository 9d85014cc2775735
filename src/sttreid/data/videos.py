"""Video files -> frames, by one of two decoders.

decord (:mod:`sttreid.data.decord_frames`) is the default. PyAV examines every file before it is decoded
(:mod:`sttreid.data.films`), reads the sound part of a damaged one, and is the second decoder
(:mod:`sttreid.data.pyav_frames`). Either decodes in a process of its own, so that memory does not grow with
the film and a decoder that hangs is ended.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.config.datasets import Decoder, OnError
from sttreid.data.film_segments import has_segments, longest_segment, segments
from sttreid.data.films import Film, examine
from sttreid.data.frame_process import process_frames
from sttreid.runtime.errors import DecodeError, PlaceError

MODULES: Final[dict[Decoder, str]] = {
    "decord": "sttreid.data.decord_frames",
    "pyav": "sttreid.data.pyav_frames",
}
MOST_BYTES: Final = 48 * 2**20  # of a film that decord may hold in memory, if PyAV gives the same pixels
TURNED: Final = "mov,mp4,m4a,3gp,3g2,mj2"  # the container in which decord finds that a film is turned
EQUAL_PIXELS: Final = frozenset({"yuv420p", "yuvj420p", "yuv444p", "yuvj444p"})


def frames(path: Path, expected: int, decoder: Decoder = "decord") -> Iterator[NDArray[np.uint8]]:
    """Decode a video from its first frame to its last.

    The process that decodes ends when the iterator ends or is closed. The frames before a damage are the same
    in every run: those that decord decoded and lost are decoded again by PyAV.

    Args:
        path: a video file; with decord, .ts streams, cuts without re-encoding, AV1 and GIF raise an error.
        expected: the number of frames that it must hold.
        decoder: decodes; PyAV decodes in any case what is damaged, and, if the pixels are the same, films
            that are turned and long ones that decord would hold in memory because they cannot be cut.

    Yields:
        [H, W, 3], RGB, upright, each in separate memory.

    Raises:
        PlaceError: the file is missing or not a video, is mirrored or rotated by an angle other than a
            multiple of 90 degrees, holds another number of frames, is damaged or was cut short; or a frame
            cannot be decoded, or its decoder hangs.
        InputError: the decoder is not installed.
    """
    film = examine(path)
    if film.damage is not None:
        yield from process_frames(MODULES["pyav"], [(path, expected)])
        raise PlaceError(path, film.damage)
    _check(path, film, expected, decoder)
    is_too_long = longest_segment(path, film) > MOST_BYTES
    is_hard = film.lost or film.turns or _is_one_of_several(film)
    if film.pixels in EQUAL_PIXELS and (is_hard or is_too_long):
        decoder = "pyav"
    number = 0
    try:
        films = segments(path, film) if decoder == "decord" else [(path, expected)]
        for frame in process_frames(MODULES[decoder], films):
            number += 1
            yield frame
    except DecodeError as error:
        if decoder == "pyav":
            raise
        yield from islice(process_frames(MODULES["pyav"], [(path, expected)]), number, None)
        where = f"frame {number + 1} of {expected}, or one of the next frames,"
        rule = "cannot be decoded by decord, but by PyAV: set decode.decoder to pyav"
        raise DecodeError(path, f"{where} {rule}") from error
    except PlaceError as error:
        raise PlaceError(path, error.reason) from error


def count_frames(path: Path, on_error: OnError = "raise") -> int:
    """The number of frames of a video, or, with ``skip``, the number that a film cut short promises.

    Raises:
        PlaceError: as :func:`frames` when it opens the video; with ``raise``, it is damaged or was cut short.
    """
    film = examine(path)
    if on_error == "raise" and film.damage is not None:
        raise PlaceError(path, film.damage)
    return film.frames


def check_video(path: Path, expected: int, decoder: Decoder = "decord") -> None:
    """Read the packets of a video, decode none.

    Raises:
        PlaceError: as :func:`frames`, for all that can be told without decoding.
    """
    film = examine(path)
    if film.damage is not None:
        raise PlaceError(path, film.damage)
    _check(path, film, expected, decoder)


def _check(path: Path, film: Film, expected: int, decoder: Decoder) -> None:
    if film.frames != expected:
        raise PlaceError(path, f"the video must hold {expected} frames, got {film.frames}")
    if decoder == "decord" and film.misread is not None:
        raise PlaceError(path, film.misread)
    if decoder == "decord" and _is_one_of_several(film) and film.pixels not in EQUAL_PIXELS:
        rule = f"decord may read another of the {film.films} films in the file"
        raise PlaceError(path, f"{rule}: set decode.decoder to pyav, or copy out the one that was tracked")
    if decoder == "decord" and film.lost and film.pixels not in EQUAL_PIXELS:
        rule = f"decord counts {film.lost} frames at its beginning that cannot be shown since it was cut"
        raise PlaceError(path, f"{rule}: set decode.decoder to pyav, or re-encode it")
    if decoder == "decord" and film.turns and film.kind != TURNED and film.pixels not in EQUAL_PIXELS:
        rule = "decord does not turn films of this container upright"
        raise PlaceError(path, f"{rule}: set decode.decoder to pyav, or re-encode it")


def _is_one_of_several(film: Film) -> bool:
    """Whether decord may take another film of the file, since no copy of this one can be handed to it."""
    return film.films > 1 and not has_segments(film)
