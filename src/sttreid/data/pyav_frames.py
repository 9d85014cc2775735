"""Frames by PyAV, whose timestamps tell the place of each frame.

It decodes with one thread and holds no more frames than the codec needs to bring them into order. Of 8-bit
4:2:0 videos of even height and 4:4:4 videos its pixels equal those of decord, also of interlaced ones: this
FFmpeg would give each field its own colours, that of decord does not. Of others (10-bit, 4:2:0 of odd height)
they differ, as colours are interpolated otherwise.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sttreid.data.film_files import import_av, open_film
from sttreid.data.films import examine
from sttreid.runtime.errors import DecodeError, PlaceError


def frames(path: Path, expected: int) -> Iterator[NDArray[np.uint8]]:
    """Decode a video from its first frame to the last one that is certainly in its place.

    Yields:
        [H, W, 3], RGB, upright, each in separate memory.

    Raises:
        PlaceError: the file is no video or holds another number of frames.
        DecodeError: a frame cannot be decoded, is missing, or has another size than the first.
        InputError: PyAV is not installed.
    """
    film = examine(path)
    if film.damage is None and film.frames != expected:
        raise PlaceError(path, f"the video must hold {expected} frames, got {film.frames}")
    first = None
    number = 0
    for frame in map(_Progressive(), _decoded(path)):
        if number == film.readable:
            break
        if film.times is not None and frame.pts != film.times[number]:
            break
        first = first or (frame.width, frame.height)
        if (frame.width, frame.height) != first:
            now = f"{frame.width}x{frame.height}"
            rule = "the size of the picture must not change"
            raise DecodeError(path, f"frame {number + 1}: {rule}, got {first[0]}x{first[1]}, then {now}")
        number += 1
        yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), film.turns))
    if number < film.readable:
        raise DecodeError(path, f"frame {number + 1} of {expected} cannot be decoded: the video is damaged")


class _Progressive:
    """Frames without the mark that they are interlaced."""

    def __init__(self) -> None:
        self._graph: Any = None

    def __call__(self, frame: Any) -> Any:
        """The same frame, or one with the same pixels."""
        if not frame.interlaced_frame:
            return frame
        if self._graph is None:
            self._graph = import_av().filter.Graph()
            size = {"width": frame.width, "height": frame.height, "format": frame.format}
            source = self._graph.add_buffer(**size, time_base=frame.time_base)
            mark, sink = self._graph.add("setfield", "mode=prog"), self._graph.add("buffersink")
            source.link_to(mark)
            mark.link_to(sink)
            self._graph.configure()
        self._graph.push(frame)
        return self._graph.pull()


def _decoded(path: Path) -> Iterator[Any]:
    """Decoded frames up to the first damaged packet, with those that the decoder held back."""
    av = import_av()
    with open_film(path) as (container, stream):
        stream.codec_context.thread_count = 1
        try:
            for packet in container.demux(stream):
                yield from packet.decode()
        except av.FFmpegError:
            pass
        else:
            return
        try:
            yield from stream.codec_context.decode(None)
        except av.FFmpegError:
            return
