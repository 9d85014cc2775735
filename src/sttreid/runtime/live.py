"""What others see of a run while it trains: its growing history, and a status for ``sttreid watch``.

DVC removes the outputs of a stage before the stage starts. A run therefore writes its history so far to the
place of the finished one, where ``dvc plots show`` and editors read it beside the last commit's. A history
that is there already stays until the stage replaces it. None of this is a result or changes one.
"""

import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from sttreid.runtime.files import write_json, write_text
from sttreid.runtime.progress import history_text

SECONDS: Final = 5.0  # between two updates
RECENT: Final = 50  # steps over which the loss is averaged
STATUS: Final = "status.json"

Row = dict[str, float]

_places: deque[Path] = deque()  # of the histories of this process' runs, in their order


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
        history: path of the growing history; None: it is not written.
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
    history: str | None = None

    @property
    def numbers(self) -> str:
        """The line that ends a training stage: what it found."""
        loss = f"loss {self.loss:.3f} (mean of the last steps)"
        sides = {"training": self.train_rank1, "validation": self.validation_rank1}
        found = [f"{100 * value:.1f} on {side}" for side, value in sides.items() if value is not None]
        return f"{loss}, rank-1 {' and '.join(found)} identities" if found else loss


@contextmanager
def histories(places: Sequence[Path]) -> Iterator[None]:
    """Where the runs of this block write their histories, in their order."""
    _places.extend(places)
    try:
        yield
    finally:
        _places.clear()


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
        place = _places.popleft() if _places else None
        self.place = place if place is not None and not place.exists() else None
        self.start = time.monotonic()
        self.first, self.published, self.written = len(self.rows), -math.inf, 0
        self.columns: list[str] = []
        self.lines: list[str] = []

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
            history=str(self.place) if self.place is not None else None,
        )

    def close(self) -> None:
        """Remove the status of a run that is complete; publish how far an interrupted one came."""
        with suppress(OSError):
            if self.status is not None and len(self.rows) >= self.steps:
                self.status.unlink(missing_ok=True)
            elif len(self.rows) > self.written:
                self._publish()

    def _publish(self) -> None:
        if self.place is not None:
            write_text(self.place, self._text())
        found = self.summary()
        if self.status is not None and found is not None:
            write_json(self.status, asdict(found))

    def _text(self) -> str:
        """The history so far; only rows since the last call are formatted, unless a column is new."""
        new = self.rows[self.written :]
        columns = list(dict.fromkeys([*self.columns, *(key for row in new for key in row)]))
        if columns != self.columns:
            self.columns, self.lines, new = columns, [], self.rows
        text = history_text(pd.DataFrame(new, columns=columns))
        header, _, body = text.partition("\n")
        self.lines.append(body)
        self.written = len(self.rows)
        return f"{header}\n{''.join(self.lines)}"

    def _measured(self, column: str) -> float | None:
        """The last value of a column; JSON has no NaN."""
        values = (row[column] for row in reversed(self.rows) if column in row)
        value = next(values, math.nan)
        return None if math.isnan(value) else value
