"""Writing H.264 videos whose bytes depend on the pictures alone."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

_STILL_CAMERA: Final = {"sc_threshold": "0", "b_strategy": "0"}  # no cuts or pans, so no search for them


class VideoWriter:
    """An MP4 file of constant frame rate, to be used in a `with` statement.

    One encoder thread and no version strings: with more threads x264 cuts its work elsewhere and gives other
    bytes.
    """

    def __init__(
        self, path: Path, width: int, height: int, fps: int, crf: int, preset: str, keyframes: int
    ) -> None:
        self._tick = Fraction(1, fps)
        flags = {"movflags": "faststart", "fflags": "+bitexact"}
        self._container = av.open(str(path), "w", format="mp4", options=flags)
        stream = self._container.add_stream("libx264", rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = self._tick
        stream.thread_count = 1
        quality: dict[str, object] = {"crf": str(crf), "preset": preset, "g": str(keyframes)}
        stream.options = quality | _STILL_CAMERA | {"flags": "+bitexact"}
        self._stream, self._frames = stream, 0

    def write(self, planes: NDArray[np.uint8]) -> None:
        """Appends one picture: yuv420p planes uint8 [H * 3 / 2, W]."""
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self._frames, self._tick  # the muxer changes the stream's own time base
        self._container.mux(self._stream.encode(frame))
        self._frames += 1

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            return
        with suppress(av.FFmpegError):  # closing half a film fails too, and must not hide the first error
            self._container.close()
