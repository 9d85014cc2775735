"""Progress of a run: a bar, a log of its speed, and the text of its history.

None of it is a result or changes one: clips per second differ from run to run.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pandas as pd
from tqdm import tqdm

LOG_SECONDS = 10.0  # between two lines of the log
LOG = "log.tsv"
T = TypeVar("T")


def log(message: str) -> None:
    """One line on stderr, below the progress bar."""
    print(message, file=sys.stderr, flush=True)


def history_text(history: pd.DataFrame) -> str:
    """A history as tab-separated text: six significant digits, empty where nothing was validated.

    A history without steps gives an empty text without a header, as its columns are unknown.
    """
    if history.empty:
        return ""
    return str(history.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n"))


class Progress:
    """The progress bar and the log of one run.

    Args:
        name: of the run.
        done: steps before this process began.
        steps: of the whole run.
        clips: per step, over all processes.
        folder: of the log, or None.
        visible: whether this process shows anything.
    """

    def __init__(
        self, name: str, done: int, steps: int, clips: int, folder: Path | None, visible: bool
    ) -> None:
        self.name, self.first, self.clips = name, done, clips
        self.log = folder / LOG if folder is not None and visible else None
        self.bar = tqdm(desc=name, unit="step", total=steps, initial=done, disable=None if visible else True)
        self.start = self.logged = time.perf_counter()
        self.done, self.waited = 0, 0.0
        self.at_log = 0, 0.0  # steps and waiting time at the last line of the log

    def watch(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches; the time until each one arrives is counted as waiting."""
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.waited += time.perf_counter() - start
            yield batch

    def step(self, row: dict[str, float]) -> None:
        """Count a step and show its row of the history."""
        self.done += 1
        self.bar.update()
        now = time.perf_counter()
        if not self.bar.disable:
            values = {name: f"{value:.3g}" for name, value in row.items() if name != "step"}
            speed, wait = self._speed(now - self.start, self.done, self.waited)
            self.bar.set_postfix({**values, "clips/s": f"{speed:.1f}", "wait": f"{wait:.1%}"}, refresh=False)
        if now - self.logged >= LOG_SECONDS:
            self._log(now)

    def close(self) -> str:
        """Close bar and log; returns a summary of the run."""
        now = time.perf_counter()
        if self.done > self.at_log[0]:
            self._log(now)
        self.bar.close()
        speed, wait = self._speed(now - self.start, self.done, self.waited)
        resumed = f" (resumed after step {self.first})" if self.first else ""
        rates = f"{speed:.1f} clips/s, {wait:.1%} of the time waiting for data"
        return f"{self.name}: {self.done} steps{resumed}, {rates}"

    def _speed(self, seconds: float, steps: int, waited: float) -> tuple[float, float]:
        """Clips per second, and the fraction of the time spent waiting."""
        seconds = max(seconds, 1e-9)
        return steps * self.clips / seconds, waited / seconds

    def _log(self, now: float) -> None:
        """One line: the step, and speed and waiting since the last line."""
        steps, waited = self.done - self.at_log[0], self.waited - self.at_log[1]
        speed, wait = self._speed(now - self.logged, steps, waited)
        self.logged, self.at_log = now, (self.done, self.waited)
        if self.log is None:
            return
        header = "" if self.log.exists() else "run\tstep\tclips_per_second\tdata_wait\n"
        line = f"{self.name}\t{self.first + self.done}\t{speed:.4g}\t{wait:.4g}\n"
        # a full disk must not stop the run
        with suppress(OSError), self.log.open("a", encoding="utf-8") as file:
            file.write(header + line)
