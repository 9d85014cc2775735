"""A decoder in a process of its own: memory that does not grow with the film, and a guard against hangs.

The decoding process writes frames into the slots of a pool in shared memory, and waits while none is free.
Waiting alone would not bound its memory: decord's own thread decodes on while nobody takes its frames. So the
process stops itself (SIGSTOP) when no slot is free, with all of its threads, and the reading process wakes it
(SIGCONT) when it frees one. A process that neither hands over a frame nor reads from the disk for
``PATIENCE`` seconds is ended, and the error names the file and the frame.

Frames are not copied out of the pool: a slot is free again when nothing refers to its frame any more. Only of
a reader that keeps many frames are the later ones copied.

The other side is :mod:`sttreid.data.frame_server`. Both send lines: numbers of slots, and mappings in JSON.
"""

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import DecodeError, InputError, PlaceError
from sttreid.runtime.unnamed import ADVICE, folder_of, unnamed_file

Frame = NDArray[np.uint8]

PATIENCE: Final = 120.0  # seconds without a frame and without reading
TICK: Final = 0.05  # seconds until the first look at a silent process; each wait is twice the one before
LONGEST_TICK: Final = 1.0


def process_frames(module: str, films: Iterable[tuple[Path, int]]) -> Iterator[Frame]:
    """The frames of some videos of one size, decoded in another process, which ends with the iterator.

    Args:
        module: of the decoder; it exports ``frames(path, expected)``.
        films: videos, and the number of frames that each one must hold; one is asked for when the one before
            it has ended.

    Yields:
        [H, W, 3], RGB, each in separate memory.

    Raises:
        DecodeError: a frame cannot be decoded, or the process ended or made no progress.
        PlaceError: the video breaks another rule of the decoder.
        InputError: the decoder is not installed, or there is no room for decoded frames.
    """
    pool = os.memfd_create("sttreid-frames") if _in_memory() else _unnamed_file()
    try:
        process = _Process(module, pool)
        try:
            for path, expected in films:
                yield from process.frames(path, expected)
        finally:
            process.end()
    finally:
        os.close(pool)


def _in_memory() -> bool:
    return hasattr(os, "memfd_create")


def _unnamed_file() -> int:
    with unnamed_file() as file:
        return os.dup(file.fileno())


def _room() -> tuple[str, str]:
    """Where decoded frames are, and how to make room there."""
    return ("the memory of this machine", "free some of it") if _in_memory() else (folder_of(None), ADVICE)


class _Pool:
    """The reading side of the slots that hold frames."""

    def __init__(self, file: int, shape: tuple[int, ...], slots: int) -> None:
        self._shape, self._slots, self._length = shape, slots, int(np.prod(shape))
        self._memory = mmap.mmap(file, slots * self._length)
        self._held: dict[int, weakref.ref[Frame] | None] = {}  # None: its frame was copied

    def take(self, slot: int) -> Frame:
        """The frame in a slot, which is then held; a copy if the reader leaves too few slots free."""
        whole: Frame = np.frombuffer(self._memory, np.uint8, self._length, slot * self._length)
        if len(self._held) + 1 < self._slots:  # all views of a frame refer to the array of the whole slot
            self._held[slot] = weakref.ref(whole)
            return whole.reshape(self._shape)
        self._held[slot] = None
        return whole.reshape(self._shape).copy()

    def freed(self) -> list[int]:
        """The slots whose frames nobody has any more, once each."""
        slots = [slot for slot, frame in self._held.items() if frame is None or frame() is None]
        for slot in slots:
            del self._held[slot]
        return slots


class _Process:
    """The reading side of one decoding process."""

    def __init__(self, module: str, pool: int) -> None:
        self._path, self._expected, self._number = Path(), 0, 0
        self._file = pool
        self._pool: _Pool | None = None
        self._messages, write = os.pipe()
        os.set_blocking(self._messages, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sttreid.data.frame_server", module, str(pool), str(write)],
                stdin=subprocess.PIPE,
                pass_fds=(pool, write),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        finally:
            os.close(write)
        self._lines: deque[bytes] = deque()
        self._rest = b""

    def frames(self, path: Path, expected: int) -> Iterator[Frame]:
        """All frames of a video, in order."""
        self._path, self._expected, self._number = path, expected, 0
        self._send(json.dumps({"path": str(path), "expected": expected}))
        while True:
            line = self._line()
            if not line.startswith(b"{"):
                assert self._pool is not None
                self._number += 1
                yield self._pool.take(int(line))
                self._send(*self._pool.freed())
            elif "shape" in (message := json.loads(line)):
                self._pool = _Pool(self._file, tuple(message["shape"]), message["slots"])
                self._send(*range(message["slots"]))
            else:
                break
        self._finish(message)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
        os.close(self._messages)

    def _send(self, *orders: Any) -> None:
        """Send films and the numbers of free slots."""
        assert self._process.stdin is not None
        if not orders:
            return
        lines = "".join(f"{order}\n" for order in orders)
        with suppress(BrokenPipeError):  # it has ended; its last message tells why
            os.write(self._process.stdin.fileno(), lines.encode())
        self._wake()

    def _wake(self) -> None:
        """Let the process go on if it has stopped itself; until it is waited for, its number is its own."""
        os.kill(self._process.pid, signal.SIGCONT)

    def _finish(self, message: dict[str, Any]) -> None:
        if "decode error" in message:
            raise DecodeError(self._path, message["decode error"])
        if "place" in message:
            raise PlaceError(message["place"], message["reason"])
        if "error" in message:
            raise InputError(message["error"])
        if "no room" in message:
            place, advice = _room()
            raise InputError(f"decoded frames cannot be kept in {place} ({message['no room']}): {advice}")

    def _line(self) -> bytes:
        """The next message; a process that is silent for too long, or ended without one, is an error."""
        progress, since, wait = -1, time.monotonic(), TICK
        silent = False
        while not self._lines:
            with suppress(BlockingIOError):
                content = os.read(self._messages, 1 << 16)
                if not content:
                    raise DecodeError(self._path, f"{self._where()}: {self._death()}")
                *lines, self._rest = (self._rest + content).split(b"\n")
                self._lines.extend(lines)
                continue
            self._wake()
            if select.select([self._messages], [], [], wait)[0]:
                continue
            wait = min(2 * wait, PATIENCE / 4, LONGEST_TICK)
            if not silent:  # on a busy machine it often waits for a core
                silent = True
            elif (done := self._bytes_read()) != progress:
                progress, since = done, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise DecodeError(
                    self._path, f"{self._where()}: the decoder made no progress for {PATIENCE:g} seconds"
                )
        return self._lines.popleft()

    def _where(self) -> str:
        return f"frame {self._number + 1} of {self._expected} cannot be decoded"

    def _death(self) -> str:
        code = self._process.wait()
        end = (
            f"was ended by the signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        if code == -signal.SIGBUS:  # the kernel's way to say that a mapped file cannot grow
            place, advice = _room()
            end = f"{end}, perhaps because {place} has no room for decoded frames: {advice}"
        return f"the process of the decoder {end}"

    def _bytes_read(self) -> int:
        """Bytes that the process has read so far; 0 where the system does not tell."""
        try:
            first = Path(f"/proc/{self._process.pid}/io").read_text().split("\n", 1)[0]
        except OSError:
            return 0
        return int(first.removeprefix("rchar: "))
