"""The decoding process of :mod:`sttreid.data.frame_process`: ``python -m sttreid.data.frame_server``."""

import ctypes
import importlib
import json
import mmap
import os
import select
import signal
import sys
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import DecodeError, InputError, PlaceError

POOL_BYTES: Final = 12 * 2**20
SLOTS: Final = (3, 64)  # frames of the pool, at least and at most
SET_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>

Frame = NDArray[np.uint8]


def serve(module: str, pool: int, messages: int) -> None:
    """Decode the films that the reading process names, one after the other, and tell how each one ended.

    Args:
        module: of the decoder.
        pool: descriptor of the file whose slots hold the frames.
        messages: descriptor of the pipe to the reading process.
    """
    orders = _Orders()
    slots = _Slots(pool, messages)
    decoder = importlib.import_module(module)
    try:
        while film := orders.next_film():
            _decode(decoder, Path(film["path"]), int(film["expected"]), orders, slots)
            _release_memory()
    except DecodeError as error:
        slots.tell({"decode error": error.reason})
    except PlaceError as error:
        slots.tell({"place": error.place, "reason": error.reason})
    except InputError as error:
        slots.tell({"error": str(error)})
    except OSError as error:
        slots.tell({"no room": error.strerror or str(error)})


def _decode(decoder: Any, path: Path, expected: int, orders: "_Orders", slots: "_Slots") -> None:
    for frame in islice(decoder.frames(path, expected), expected):
        slots.prepare(frame, path)
        if (slot := orders.free_slot()) is None:
            return
        slots.fill(slot, frame)
    slots.tell({"end": True})  # before the decoder is closed, which may hang


class _Orders:
    """What the reading process sends in lines: films, in JSON, and the numbers of slots that are free."""

    def __init__(self) -> None:
        self._films: deque[dict[str, Any]] = deque()
        self._free: list[int] = []
        self._rest = b""

    def next_film(self) -> dict[str, Any] | None:
        """Wait for a film; None: nobody reads any more."""
        while not self._films:
            if not self._receive():
                return None
        return self._films.popleft()

    def free_slot(self) -> int | None:
        """Take the slot that was freed last; stop until there is one; None: nobody reads any more."""
        while not self._free:
            if not select.select([sys.stdin.fileno()], [], [], 0)[0]:
                os.kill(os.getpid(), signal.SIGSTOP)
            elif not self._receive():
                return None
        return self._free.pop()

    def _receive(self) -> bool:
        content = os.read(sys.stdin.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self._films.append(json.loads(line))
            else:
                self._free.append(int(line))
        return bool(content)


class _Slots:
    """The slots of the pool, whose size follows from the first frame; the reader owns all at first."""

    def __init__(self, pool: int, messages: int) -> None:
        self._pool, self._messages = pool, messages
        self._frames: Frame | None = None

    def tell(self, content: dict[str, Any]) -> None:
        """Send a message."""
        os.write(self._messages, json.dumps(content).encode() + b"\n")

    def prepare(self, frame: Frame, path: Path) -> None:
        """Make the slots for frames like the first one; DecodeError if a later one has another size."""
        if self._frames is None:
            least, most = SLOTS
            count = min(max(POOL_BYTES // frame.nbytes, least), most)
            os.ftruncate(self._pool, count * frame.nbytes)
            memory = mmap.mmap(self._pool, count * frame.nbytes)
            self._frames = np.frombuffer(memory, np.uint8).reshape(count, *frame.shape)
            self.tell({"shape": frame.shape, "slots": count})
        elif frame.shape != self._frames.shape[1:]:
            rule = "the size of the picture must not change"
            raise DecodeError(path, f"{rule}, got {self._frames.shape[1:]}, then {frame.shape}")

    def fill(self, slot: int, frame: Frame) -> None:
        """Hand over a frame."""
        assert self._frames is not None
        self._frames[slot] = frame
        os.write(self._messages, b"%d\n" % slot)


def _release_memory() -> None:
    """Have the C library return what a decoder freed; it would keep it for the next one."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc
        trim(0)


def _die_with_parent() -> None:
    """A stopped process would outlive a reader that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the reader's to answer
    _die_with_parent()
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)  # without decord's destructors
