"""The supervisor of a training run: progress, checkpoints, requests to stop, and post-mortem files.

It is the observer of :func:`sttreid.training.loop.fit` and changes no result.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

from sttreid.runtime.checkpoints import CheckpointFolder, Checkpoints, fingerprint, pack, unpack
from sttreid.runtime.distributed import ProcessGroup
from sttreid.runtime.files import write_bytes
from sttreid.runtime.live import Live, Row
from sttreid.runtime.progress import Progress, log

T = TypeVar("T")


class Supervisor:
    """Observes one run; on all processes but the first, it prints and writes nothing.

    Args:
        name: of the run.
        folder: of its checkpoints; None: an interrupted run is lost.
        group: the processes of the run.
        signals: receives the signals that ask this process to stop.
    """

    def __init__(
        self, name: str, folder: CheckpointFolder | None, group: ProcessGroup, signals: list[int]
    ) -> None:
        self.name, self.folder, self.group, self.signals = name, folder, group, signals
        self.checkpoints: Checkpoints | None = None
        self.progress: Progress | None = None
        self.live: Live | None = None
        self.history: list[Row] = []  # before this process began

    def resume(self, settings: Mapping[str, object], content: Iterable[bytes]) -> dict[str, Any] | None:
        """Lock the run's checkpoints; returns the state of the last one, on every process.

        Raises:
            InputError: another process trains the same run.
        """
        last = None
        if self.folder is not None and self.group.first:
            self.checkpoints = self.folder.open(fingerprint(settings, content))
            last = self.checkpoints.latest()
        last = self.group.broadcast(last)
        state = None if last is None else unpack(last)
        self.history = [] if state is None else state["history"]
        return state

    def watch(self, batches: Iterator[T], done: int, steps: int, clips: int) -> Iterator[T]:
        """The same batches, timed; starts the progress bar."""
        folder = self.folder.path if self.folder is not None else None
        self.progress = Progress(self.name, done, steps, clips, folder, self.group.first)
        if self.group.first:
            self.live = Live(self.name, steps, clips, self.history, folder)
        return self.progress.watch(batches)

    def stop_requested(self) -> bool:
        """Whether this process has received SIGTERM or Ctrl-C."""
        return bool(self.signals)

    def stepped(
        self, row: dict[str, float], state: Callable[[], dict[str, Any]], evaluated: bool, last: bool
    ) -> None:
        """Show and publish the step; write a checkpoint if one is due, after a validation, and at the end."""
        if self.progress is not None:
            self.progress.step(row)
        if self.live is not None:
            self.live.step(row, evaluated)
        if self.checkpoints is not None and (evaluated or last or self.checkpoints.due()):
            self.checkpoints.write(int(row["step"]), pack(state()))

    def diverged(self, step: int, state: dict[str, Any]) -> str:
        """Write all inputs of the step; returns where they are, as the end of an error message."""
        if self.folder is None:
            return ""
        path = self.folder.path / f"post-mortem-step-{step}-rank-{self.group.rank}.pt"
        with suppress(OSError):  # the divergence is the error to report
            write_bytes(path, pack(state))
        return f"; all inputs of the step are in {path}"

    def notify(self, message: str) -> None:
        """A line for the user, from the first process."""
        if self.group.first:
            log(f"{self.name}: {message}")

    def close(self) -> None:
        """Close the progress bar, and print a summary of the run and what it found."""
        if self.progress is not None:
            summary = self.progress.close()
            if self.group.first:
                log(summary)
        if self.live is not None:
            self.live.close()
            if found := self.live.summary():
                log(f"{self.name}: step {found.step} of {found.steps}: {found.numbers}")


@contextmanager
def supervise(name: str, folder: CheckpointFolder | None, group: ProcessGroup) -> Iterator[Supervisor]:
    """The supervisor of one run, inside the block that trains."""
    with stop_signals() as signals:
        supervisor = Supervisor(name, folder, group, signals)
        try:
            yield supervisor
        finally:
            supervisor.close()


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect the first SIGTERM or Ctrl-C in the returned list; a second one ends the process.

    Outside the main thread, which alone receives signals, the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def collect(number: int, _: FrameType | None) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    for number in handlers:
        signal.signal(number, collect)
    try:
        yield received
    finally:
        restore()
