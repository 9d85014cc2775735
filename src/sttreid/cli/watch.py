"""The command ``sttreid watch``: a table of the runs that train now."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from sttreid.cli import checkout

COLUMNS: Final = ("run", "step", "loss", "lr", "train rank-1", "val. rank-1", "clips/s", "left", "seen")
PLACES: Final = (  # of the scratch folders of a checkout: the workspace, DVC's queue, studies
    ".scratch",
    ".dvc/tmp/exps/*/.scratch",
    "experiments/*/run/.scratch",
)
NONE: Final = "-"
CLEAR: Final = "\033[H\033[J"  # of a terminal


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print the table once, for scripts.")] = False,
    seconds: Annotated[float, typer.Option(help="Between two refreshes.", min=0.2)] = 2.0,
) -> None:
    """Show loss, learning rate and validation rank-1 of all runs that train now.

    Runs of the workspace, of DVC's queue and of studies. Ctrl-C ends it. An interrupted run is listed with
    the step from which the next run of its stage resumes; the curve of a killed one is replaced by the
    earlier one.
    """
    from sttreid.runtime.live import KEPT, give_back

    root = checkout.root()
    for scratch in (*root.glob(PLACES[0]), *map(Path, filter(None, [os.environ.get("STTREID_SCRATCH")]))):
        give_back(scratch / KEPT)
    while True:
        table = "\n".join(lines(root, time.time()))
        print(table if once else f"{CLEAR}{table}", flush=True)
        if once:
            return
        time.sleep(seconds)


def lines(root: Path, now: float) -> list[str]:
    """The table, aligned.

    Args:
        root: of the checkout.
        now: seconds since the epoch.
    """
    rows = list(_rows(root, now))
    if not rows:
        return ["Nothing trains."]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    return [_line(row, widths) for row in (COLUMNS, *rows)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def _rows(root: Path, now: float) -> Iterator[tuple[str, ...]]:
    """A row for each run whose status lies in one of the scratch folders."""
    from sttreid.config.conversion import parse
    from sttreid.runtime.errors import InputError
    from sttreid.runtime.files import read_json
    from sttreid.runtime.live import STATUS, Status

    folders = [(folder, place) for place in PLACES for folder in sorted(root.glob(place))]
    if elsewhere := os.environ.get("STTREID_SCRATCH"):
        folders.append((Path(elsewhere), PLACES[0]))
    found = [(path, place) for folder, place in folders for path in sorted(folder.glob(f"*/{STATUS}"))]
    for path, place in found:
        try:
            status = parse(Status, read_json(path), str(path))
        except InputError:  # removed or replaced in this moment
            continue
        study = f"{path.relative_to(root).parts[1]}: " if place.startswith("experiments") else ""
        numbers = [f"{status.step}/{status.steps}", f"{status.loss:.3f}"]
        numbers.append(NONE if status.lr is None else f"{status.lr:.2g}")
        numbers += [_percent(value) for value in (status.train_rank1, status.validation_rank1)]
        alive = _is_alive(status.process)
        rest = [f"{status.clips_per_second:.1f}", _left(status.step, status.steps, status.steps_per_second)]
        age = _duration(now - status.updated)
        seen = [*rest, age] if alive else [NONE, NONE, f"interrupted {age} ago"]
        yield (f"{study}{status.name}", *numbers, *seen)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}"


def _left(step: int, steps: int, speed: float) -> str:
    return _duration((steps - step) / speed) if speed > 0 else NONE


def _duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _is_alive(process: int) -> bool:
    """Whether the process runs."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # a number that no process has
        return False
    except PermissionError:  # of another user
        return True
    return True
