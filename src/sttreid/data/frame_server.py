"""The decoding process of :mod:`sttreid.data.frame_process`: ``python -m sttreid.data.frame_server``."""

import ctypes
import importlib
import json
import mmap
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from sttreid.runtime.errors import DecodeError, InputError, PlaceError

RING_BYTES: Final = 32 * 2**20
SLOTS: Final = (4, 64)  # frames of a ring, at least and at most
SET_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def serve(module: str, path: Path, expected: int, ring: int, messages: int) -> None:
    """The decoding side: decode, hand over, and tell how it ended."""

    def tell(content: dict[str, Any]) -> None:
        os.write(messages, json.dumps(content).encode() + b"\n")

    memory, slots, free, slot = None, 0, 0, 0
    try:
        for frame in importlib.import_module(module).frames(path, expected):
            if memory is None:
                least, most = SLOTS
                slots = free = min(max(RING_BYTES // frame.nbytes, least), most)
                os.ftruncate(ring, slots * frame.nbytes)
                memory = np.frombuffer(mmap.mmap(ring, slots * frame.nbytes), np.uint8).reshape(slots, -1)
                tell({"shape": frame.shape, "slots": slots})
            while free == 0:
                if select.select([sys.stdin.fileno()], [], [], 0)[0]:
                    free = len(os.read(sys.stdin.fileno(), slots))
                    if not free:  # nobody reads any more
                        return
                else:
                    os.kill(os.getpid(), signal.SIGSTOP)
            memory[slot] = frame.reshape(-1)
            slot, free = (slot + 1) % slots, free - 1
            tell({"frame": True})
        tell({"end": True})
    except DecodeError as error:
        tell({"decode error": error.reason})
    except PlaceError as error:
        tell({"place": error.place, "reason": error.reason})
    except InputError as error:
        tell({"error": str(error)})


def _die_with_parent() -> None:
    """A stopped process would outlive a reader that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the reader's to answer
    _die_with_parent()
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    os._exit(0)  # without decord's destructors
