"""What a machine lacks, as a sentence: room on its disk, memory, a worker that someone killed, a path."""

import errno
from concurrent.futures import BrokenExecutor
from typing import Final

from sttreid.runtime.files import FULL

UNWRITABLE: Final = frozenset({*FULL, errno.EACCES, errno.EPERM})
IMPOSSIBLE: Final = frozenset(  # paths
    {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
)
SHOWN: Final = 300  # characters of such a path
NO_MEMORY: Final = ("can't allocate memory", "out of memory", "can't start new thread")  # of RuntimeError


def machine_failure(error: BaseException) -> str | None:
    """The sentence about an error that more room, memory, rights or another path prevent; None: any other."""
    reason = " ".join(str(error).split())
    if isinstance(error, BrokenExecutor):
        return (
            "a worker process was killed, perhaps because the memory was full; the same command starts again"
        )
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        verb = "written" if error.errno in FULL else "opened"
        path = error.filename if error.errno not in FULL else error.filename2 or error.filename  # of a copy
        place = "a file" if path is None else f"{path}:"  # a write may name no place
        return f"{place} cannot be {verb} ({error.strerror})"
    if isinstance(error, OSError) and error.errno in IMPOSSIBLE:
        path = error.filename2 or error.filename  # the second one is the target of a rename
        place = "" if path is None else f"{path!s:.{SHOWN}}: "
        return f"{place}no such file or folder can be here ({error.strerror})"
    lacks_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if lacks_memory or (
        isinstance(error, RuntimeError) and any(word in reason.lower() for word in NO_MEMORY)
    ):
        return (
            "the memory of this machine, or its limit for this process, is not enough "
            f"({reason or 'an allocation failed'})"
        )
    return None
