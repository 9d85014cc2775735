"""A cell, and what an executor runs for it.

A cell is one instance of a stage: the fine-tuning on one target with one seed. A :class:`Task` can be
pickled; it runs on any machine that sees the pipeline's folder under the same path.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from sttreid.runner import guard

STOPPED: Final = 130  # status of a task whose lease has ended, as after Ctrl-C
POLL: Final = 0.1  # seconds


@dataclass(frozen=True)
class Cell:
    """One instance of a stage.

    Attributes:
        name: as DVC addresses it, such as ``finetune@campus-0``.
        after: names of the cells whose outputs it reads.
        gpus: CUDA devices that it can use; it runs without, where there is none.
    """

    name: str
    after: frozenset[str] = frozenset()
    gpus: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        status: exit status; 0: success.
        seconds: it took, without the time in a queue.
        pushed: whether its outputs reached the shared remote; None: they were not to.
    """

    status: int
    seconds: float
    pushed: bool | None = None


@dataclass(frozen=True)
class Task:
    """The command of a cell.

    Attributes:
        name: of the cell.
        words: arguments of Python: the task runs the Python of the process that calls it.
        folder: working directory.
        lease: file that exists while the runner wants the result; without it the command is asked to stop.
            The folder ``cells`` beside it has a lock for each cell.
        environment: variables to set.
        push: arguments of Python for a second command after a success; empty: none.
        log: file that gets what the command prints to stderr; None: this process' stderr.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    lease: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    push: tuple[str, ...] = ()
    log: Path | None = None

    def __call__(self) -> Outcome:
        """Run the command until it ends, is asked to stop, or its caller is killed."""
        if not self.lease.exists():
            return Outcome(STOPPED, 0.0)
        start = time.monotonic()
        if self.log is None:
            status, pushed = self._commands(None)
        else:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:
                status, pushed = self._commands(log)
        return Outcome(status, time.monotonic() - start, pushed)

    def _commands(self, log: IO[bytes] | None) -> tuple[int, bool | None]:
        status = self._run(self.words, log)
        if status or not self.push:
            return status, None
        return status, self._run(self.push, log) == 0

    def _run(self, words: tuple[str, ...], log: IO[bytes] | None) -> int:
        lock = self.lease.parent / "cells" / self.name
        lock.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-IS", guard.__file__, str(lock), sys.executable, *words]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            process_group=0,  # Ctrl-C of a terminal reaches the runner alone, which stops its cells
        ) as process:
            assert process.stdin is not None, "it is a pipe"
            while process.poll() is None:
                if not self.lease.exists():
                    process.stdin.close()
                time.sleep(POLL)
        return process.returncode

    def _variables(self) -> dict[str, str]:
        """Stages call ``python``: that of this process. Several cells must not use all cores each."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {"OMP_NUM_THREADS": "1", **os.environ, "PATH": path, **self.environment}
