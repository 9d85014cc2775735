"""A decoder in a process of its own: memory that does not grow with the film, and a guard against hangs.

The decoding process writes frames into a ring in shared memory and waits while the ring is full. Waiting
alone would not bound its memory: decord's own thread decodes on while nobody takes its frames. So the process
stops itself (SIGSTOP) when the ring is full, with all of its threads, and the reading process wakes it
(SIGCONT) when half of the ring is free. A process that neither hands over a frame nor reads from the disk for
``PATIENCE`` seconds is ended, and the error names the file and the frame.

The other side is :mod:`sttreid.data.frame_server`. Its messages are lines of JSON; the last one tells how it
ended.
"""

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import DecodeError, InputError, PlaceError

Frame = NDArray[np.uint8]

PATIENCE: Final = 120.0  # seconds without a frame and without reading
TICK: Final = 0.02  # seconds between two looks at a silent process


def process_frames(module: str, path: Path, expected: int) -> Iterator[Frame]:
    """The frames of a video, decoded in another process, which ends with the iterator.

    Args:
        module: of the decoder; it exports ``frames(path, expected)``.
        path: the video.
        expected: the number of frames that it must hold.

    Yields:
        [H, W, 3], RGB, each in separate memory.

    Raises:
        DecodeError: a frame cannot be decoded, or the process ended or made no progress.
        PlaceError: the video breaks another rule of the decoder.
        InputError: the decoder is not installed.
    """
    ring = os.memfd_create("sttreid-frames") if hasattr(os, "memfd_create") else _unnamed_file()
    try:
        process = _Process(module, path, expected, ring)
        try:
            yield from process.frames()
        finally:
            process.end()
    finally:
        os.close(ring)


def _unnamed_file() -> int:
    with tempfile.TemporaryFile(prefix="sttreid-frames-") as file:
        return os.dup(file.fileno())


class _Process:
    """The reading side of one decoding process."""

    def __init__(self, module: str, path: Path, expected: int, ring: int) -> None:
        self._path, self._expected, self._number, self._ring = path, expected, 0, ring
        self._messages, write = os.pipe()
        try:
            arguments = [module, str(path), str(expected), str(ring), str(write)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sttreid.data.frame_server", *arguments],
                stdin=subprocess.PIPE,
                pass_fds=(ring, write),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        finally:
            os.close(write)
        self._lines: deque[bytes] = deque()
        self._rest = b""

    def frames(self) -> Iterator[Frame]:
        """All frames, in order."""
        message = self._message()
        if "shape" in message:
            shape, slots = tuple(message["shape"]), int(message["slots"])
            size = int(np.prod(shape))
            with mmap.mmap(self._ring, slots * size, access=mmap.ACCESS_READ) as memory:
                while "frame" in (message := self._message()):
                    start = self._number % slots * size
                    pixels = np.frombuffer(memory, np.uint8, size, start).reshape(shape).copy()
                    self._number += 1
                    self._release(slots // 2)
                    yield pixels
        self._finish(message)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
        os.close(self._messages)

    def _release(self, half: int) -> None:
        """Tell the process that it may overwrite the slot of the last frame."""
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), b".")
        except BrokenPipeError:  # it has decoded the last frame and ended
            return
        if self._number % half == 0:
            self._process.send_signal(signal.SIGCONT)

    def _finish(self, message: dict[str, Any]) -> None:
        if "decode error" in message:
            raise DecodeError(self._path, message["decode error"])
        if "place" in message:
            raise PlaceError(message["place"], message["reason"])
        if "error" in message:
            raise InputError(message["error"])

    def _message(self) -> dict[str, Any]:
        """The next message; a process that is silent for too long, or ended without one, is an error."""
        progress, since = self._bytes_read(), time.monotonic()
        while not self._lines:
            self._process.send_signal(signal.SIGCONT)
            if select.select([self._messages], [], [], TICK)[0]:
                content = os.read(self._messages, 1 << 16)
                if not content:
                    raise DecodeError(self._path, f"{self._where()}: {self._death()}")
                *lines, self._rest = (self._rest + content).split(b"\n")
                self._lines.extend(lines)
            elif (done := self._bytes_read()) != progress:
                progress, since = done, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise DecodeError(
                    self._path, f"{self._where()}: the decoder made no progress for {PATIENCE:g} seconds"
                )
        content = json.loads(self._lines.popleft())
        assert isinstance(content, dict)
        return content

    def _where(self) -> str:
        return f"frame {self._number + 1} of {self._expected} cannot be decoded"

    def _death(self) -> str:
        code = self._process.wait()
        end = (
            f"was ended by the signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        return f"the process of the decoder {end}"

    def _bytes_read(self) -> int:
        """Bytes that the process has read so far; 0 where the system does not tell."""
        try:
            first = Path(f"/proc/{self._process.pid}/io").read_text().split("\n", 1)[0]
        except OSError:
            return 0
        return int(first.removeprefix("rchar: "))
