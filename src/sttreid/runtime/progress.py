"""What people see of a run while it goes on: a bar, a log of its speed, the history so far.

Nothing here is a result, and nothing here changes one: clips per second differ from run to run.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

EVERY = 10.0  # seconds between two lines of the log
LOG = "log.tsv"
T = TypeVar("T")


class Watch:
    """The clock of one run.

    Args:
        name: of the run.
        first: steps that were made before this process began.
        steps: of the whole run.
        clips: of a step, over all processes.
        folder: for the log, or None.
        shown: whether this process shows anything.
    """

    def __init__(
        self, name: str, first: int, steps: int, clips: int, folder: Path | None, shown: bool
    ) -> None:
        self.name, self.first, self.clips, self.shown = name, first, clips, shown
        self.log = folder / LOG if folder is not None and shown else None
        self.bar = tqdm(desc=name, unit="step", total=steps, initial=first, disable=None if shown else True)
        self.begin = self.noted = time.perf_counter()
        self.done, self.waited = 0, 0.0
        self.since = 0, 0.0  # steps and waits at the last line of the log

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches; the time until each one comes is counted."""
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            try:
                found = next(iterator)
            except StopIteration:
                return
            self.waited += time.perf_counter() - start
            yield found

    def step(self, row: dict[str, float]) -> None:
        """Count a step and show its numbers."""
        self.done += 1
        self.bar.update()
        now = time.perf_counter()
        if not self.bar.disable:
            shown = {name: f"{value:.3g}" for name, value in row.items() if name != "step"}
            speed, wait = self._speed(now - self.begin, self.done, self.waited)
            self.bar.set_postfix({**shown, "clips/s": f"{speed:.1f}", "wait": f"{wait:.1%}"}, refresh=False)
        if now - self.noted >= EVERY:
            self._note(now)

    def close(self) -> str:
        """End the bar and the log; returns a sentence on the whole, for the stage's last lines."""
        now = time.perf_counter()
        if self.done > self.since[0]:
            self._note(now)
        self.bar.close()
        speed, wait = self._speed(now - self.begin, self.done, self.waited)
        again = f" after {self.first} that were kept" if self.first else ""
        speeds = f"{speed:.1f} clips/s, {wait:.1%} of the time waiting for data"
        return f"{self.name}: {self.done} steps{again}, {speeds}"

    def _speed(self, seconds: float, steps: int, waited: float) -> tuple[float, float]:
        seconds = max(seconds, 1e-9)
        return steps * self.clips / seconds, waited / seconds

    def _note(self, now: float) -> None:
        """One line: the step, and the speed and share of waiting since the last line."""
        steps, waited = self.done - self.since[0], self.waited - self.since[1]
        speed, wait = self._speed(now - self.noted, steps, waited)
        self.noted, self.since = now, (self.done, self.waited)
        if self.log is None:
            return
        head = "" if self.log.exists() else "run\tstep\tclips_per_second\tdata_wait\n"
        line = f"{self.name}\t{self.first + self.done}\t{speed:.4g}\t{wait:.4g}\n"
        with suppress(OSError), self.log.open("a", encoding="utf-8") as file:  # a full disk ends no run
            file.write(head + line)
