"""What others see of a run while it trains: a growing curve, and a status for ``sttreid watch``.

The curve takes the place of the finished one among the plot tables, so that ``dvc plots diff`` and editors
show it beside that of the last commit. A run that fails gives the earlier curve back. None of this is a
result or changes one.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sttreid.runtime.files import write_bytes, write_json, write_text

SECONDS: Final = 10.0  # between two updates
RECENT: Final = 50  # steps over which the loss is averaged
STATUS: Final = "status.json"

Row = dict[str, float]

_curves: deque["Curve | None"] = deque()  # of this process' runs, in their order


@dataclass(frozen=True)
class Curve:
    """The curve of one run.

    Attributes:
        path: of its file.
        text: rows of the history so far -> content of the file.
    """

    path: Path
    text: Callable[[Sequence[Row]], str]


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        name: of the run.
        process: its number on this machine.
        step: the last one.
        steps: of the whole run.
        steps_per_second: since this process began.
        clips_per_second: the same of clips.
        lr: learning rate of the last step.
        loss: mean over the last 50 steps.
        train_rank1: on training identities (0 to 1), when it was last measured; None: not yet.
        validation_rank1: the same on validation identities.
        updated: seconds since the epoch.
        curve: path of the growing curve; None: it is not written.
    """

    name: str
    process: int
    step: int
    steps: int
    steps_per_second: float
    clips_per_second: float
    lr: float | None
    loss: float
    train_rank1: float | None
    validation_rank1: float | None
    updated: float
    curve: str | None = None

    @property
    def numbers(self) -> str:
        """The line that ends a training stage: what it found."""
        loss = f"loss {self.loss:.3f} (mean of the last steps)"
        sides = {"training": self.train_rank1, "validation": self.validation_rank1}
        found = [f"{100 * value:.1f} on {side}" for side, value in sides.items() if value is not None]
        return f"{loss}, rank-1 {' and '.join(found)} identities" if found else loss


@contextmanager
def curves(runs: Sequence[Curve | None]) -> Iterator[None]:
    """The curves of the runs of this block, in their order; None: a run has none.

    A block that fails leaves the files as they were.
    """
    paths = [curve.path for curve in runs if curve is not None]
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    _curves.extend(runs)
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                write_bytes(path, content)
        raise
    finally:
        _curves.clear()


class Live:
    """Publishes one run.

    Args:
        name: of the run.
        steps: of the whole run.
        clips: per step, over all processes.
        rows: its history before this process began.
        folder: of the status; None: there is none.
    """

    def __init__(self, name: str, steps: int, clips: int, rows: Sequence[Row], folder: Path | None) -> None:
        self.name, self.steps, self.clips, self.rows = name, steps, clips, list(rows)
        self.status = folder / STATUS if folder is not None else None
        self.curve = _curves.popleft() if _curves else None
        self.start = time.monotonic()
        self.first, self.published = len(self.rows), -math.inf

    def step(self, row: Row, evaluated: bool) -> None:
        """Add a step; publish after a validation, and every few seconds."""
        self.rows.append(row)
        if evaluated or time.monotonic() - self.published >= SECONDS:
            self.published = time.monotonic()
            with suppress(OSError):  # a full disk must not stop the run
                self._publish()

    def summary(self) -> Status | None:
        """The run so far; None without a step."""
        if not self.rows:
            return None
        last, done = self.rows[-1], len(self.rows) - self.first
        speed = done / max(time.monotonic() - self.start, 1e-9)
        losses = [row["loss"] for row in self.rows[-RECENT:] if "loss" in row]
        return Status(
            name=self.name,
            process=os.getpid(),
            step=int(last["step"]),
            steps=self.steps,
            steps_per_second=round(speed, 4),
            clips_per_second=round(speed * self.clips, 2),
            lr=last.get("lr"),
            loss=sum(losses) / max(len(losses), 1),
            train_rank1=self._measured("train_rank1"),
            validation_rank1=self._measured("validation_rank1"),
            updated=time.time(),
            curve=str(self.curve.path) if self.curve is not None else None,
        )

    def close(self) -> None:
        """Remove the status of a run that is complete; publish how far an interrupted one came."""
        with suppress(OSError):
            if self.status is not None and len(self.rows) >= self.steps:
                self.status.unlink(missing_ok=True)
            elif self.rows:
                self._publish()

    def _publish(self) -> None:
        if self.curve is not None:
            write_text(self.curve.path, self.curve.text(self.rows))
        found = self.summary()
        if self.status is not None and found is not None:
            write_json(self.status, asdict(found))

    def _measured(self, column: str) -> float | None:
        """The last value of a column; JSON has no NaN."""
        values = (row[column] for row in reversed(self.rows) if column in row)
        value = next(values, math.nan)
        return None if math.isnan(value) else value
