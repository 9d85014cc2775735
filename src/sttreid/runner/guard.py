"""The guard of a command: asks it to stop once the process that started the guard has gone.

``python guard.py LOCK COMMAND...`` with a pipe as standard input. Its other end belongs to the process that
started the guard, which closes it to stop the command; the system closes it if that process is killed. The
command then gets what Ctrl-C sends: DVC releases its locks, and a training stage writes a checkpoint.

LOCK is a file. Guard and command hold its lock, so that a second guard with the same file, maybe on another
machine, starts its command only after the first command has ended.

This module is run by its path and imports the standard library alone, so that it starts in milliseconds.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(lock: str, command: list[str]) -> int:
    """Run a command in a process group of its own.

    Returns:
        Its exit status, 128 + N after signal N.
    """
    threading.Thread(target=_end_with_input, daemon=True).start()
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(file, fcntl.LOCK_EX)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, pass_fds=[file])
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        if not asked:  # a second signal would end a training without its checkpoint
            asked.append(number)
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    status = child.wait()
    return 128 - status if status < 0 else status


def _end_with_input() -> None:
    """Send SIGTERM to this process at the end of its input: until the command has started, this ends it."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
