"""What others see of a run while it trains: a growing curve, and a status for ``sttreid watch``.

The curve takes the place of the finished one among the plot tables, so that ``dvc plots diff`` and editors
show it beside that of the last commit. A run that fails gives the earlier curve back; that of a killed run is
given back by the next stage. None of this is a result or changes one.
"""

import hashlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import only_writer, read_json, write_bytes, write_json

SECONDS: Final = 10.0  # between two updates
RECENT: Final = 50  # steps over which the loss is averaged
STATUS: Final = "status.json"
KEPT: Final = "curves"  # folder for the earlier curves, beside those of checkpoints

Row = dict[str, float]

_curves: deque["Curve | None"] = deque()  # of this process' runs, in their order
_earlier_files: dict[Path, "Earlier"] = {}  # path of a curve -> the file that it grows over


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


@dataclass
class Earlier:
    """The file that a curve grows over.

    Attributes:
        path: of the curve.
        content: None: there was no file.
        record: file that keeps all this from a kill; None: nothing does.
        written: SHA-256 of the growing curves that were written since, the last two.
    """

    path: Path
    content: bytes | None
    record: Path | None = None
    written: list[str] = field(default_factory=list)

    def grow(self, text: str) -> None:
        """Replace the curve; the record names its content first.

        Raises:
            OSError: the disk is full.
        """
        self.written = [*self.written[-1:], _digest(text.encode())]
        if self.record is not None:
            before = None if self.content is None else self.content.decode("latin-1")  # any bytes
            fields = {"path": str(self.path.absolute()), "content": before, "written": self.written}
            write_json(self.record, fields)
        write_bytes(self.path, text.encode())

    def give_back(self) -> None:
        """Put the earlier content where the growing one is."""
        if self.content is None:
            self.path.unlink(missing_ok=True)
        else:
            write_bytes(self.path, self.content)


@contextmanager
def curves(runs: Sequence[Curve | None], kept: Path | None = None) -> Iterator[None]:
    """The curves of the runs of this block, in their order; None: a run has none.

    A block that fails leaves the files as they were.

    Args:
        runs: their curves.
        kept: folder for the earlier files, from which :func:`give_back` takes them after a kill.
    """
    with ExitStack() as stack:
        files = [_earlier(curve.path, kept, stack) for curve in dict.fromkeys(runs) if curve is not None]
        _earlier_files.update({file.path: file for file in files})
        _curves.extend(runs)
        try:
            yield
        except BaseException:
            for file in files:
                file.give_back()
            raise
        finally:
            _curves.clear()
            _earlier_files.clear()
            for file in files:
                if file.record is not None:
                    file.record.unlink(missing_ok=True)


def give_back(kept: Path) -> list[Path]:
    """Give back the earlier curves of killed runs, unless other files have taken their place since.

    Returns:
        The paths of these curves.
    """
    found = []
    for record in sorted(kept.glob("*.json")):
        with suppress(InputError, OSError), only_writer(record):  # a run that lives holds the lock
            file = _read(record)
            if file is not None and file.path.exists() and _digest(file.path.read_bytes()) in file.written:
                file.give_back()
                found.append(file.path)
            record.unlink(missing_ok=True)
    return found


def _earlier(path: Path, kept: Path | None, stack: ExitStack) -> Earlier:
    """The file of a curve, with a record that this process alone may write; another one may train it too."""
    content = path.read_bytes() if path.exists() else None
    if kept is not None:
        record = kept / f"{_digest(str(path.absolute()).encode())[:16]}.json"
        with suppress(InputError, OSError):
            stack.enter_context(only_writer(record))
            return Earlier(path, content, record)
    return Earlier(path, content)


def _read(record: Path) -> Earlier | None:
    """The file of a record; None: it is no record."""
    try:
        fields: Any = read_json(record)
        content = fields["content"]
        before = None if content is None else content.encode("latin-1")
        return Earlier(Path(fields["path"]), before, record, list(fields["written"]))
    except (InputError, AttributeError, KeyError, TypeError, UnicodeEncodeError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
        self.earlier = _earlier_files[self.curve.path] if self.curve is not None else None
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
        if self.earlier is not None and self.curve is not None:
            self.earlier.grow(self.curve.text(self.rows))
        found = self.summary()
        if self.status is not None and found is not None:
            write_json(self.status, asdict(found))

    def _measured(self, column: str) -> float | None:
        """The last value of a column; JSON has no NaN."""
        values = (row[column] for row in reversed(self.rows) if column in row)
        value = next(values, math.nan)
        return None if math.isnan(value) else value
