"""Which cell starts next: the one with the longest path to the end of the pipeline."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean
from typing import Protocol

from sttreid.runner.cells import POLL, STOPPED, Cell, Outcome


class Job(Protocol):
    """A submitted task; futures of concurrent.futures and Dask and submitit's jobs have these methods."""

    def done(self) -> bool:
        """Whether it has ended."""

    def result(self) -> Outcome:
        """How it ended; raises what kept the task from running."""


@dataclass
class Report:
    """How the cells of a run ended.

    Attributes:
        done: name -> outcome of those that succeeded, in the order of their end.
        failed: name -> reason.
        blocked: those that did not start, because a cell that they wait for failed.
    """

    done: dict[str, Outcome] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


def estimate(name: str, recorded: Mapping[str, float]) -> float:
    """Seconds that a cell takes: as recorded, else as its stage's or all cells' mean, else 1."""
    if name in recorded:
        return recorded[name]
    stage = name.partition("@")[0]
    of_stage = [seconds for other, seconds in recorded.items() if other.partition("@")[0] == stage]
    return fmean(of_stage or recorded.values() or [1.0])


def path_lengths(cells: Mapping[str, Cell], recorded: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each cell to the end of the last cell that waits for it.

    Args:
        cells: name -> cell, without circles; names in ``after`` that are no cells are ignored.
        recorded: seconds of earlier runs.
    """
    dependants: dict[str, list[str]] = {name: [] for name in cells}
    for cell in cells.values():
        for name in cell.after & cells.keys():
            dependants[name].append(cell.name)

    @cache
    def length(name: str) -> float:
        return estimate(name, recorded) + max(map(length, dependants[name]), default=0.0)

    return {name: length(name) for name in cells}


def run_cells(
    cells: Mapping[str, Cell],
    start: Callable[[Cell], Job | None],
    jobs: int,
    recorded: Mapping[str, float],
    ended: Callable[[str, Outcome | str], None],
    ranks: Mapping[str, int] | None = None,
) -> Report:
    """Keep up to ``jobs`` cells running, each after those that it waits for, the longest path first.

    After a failure, all cells that do not wait for the failed one still run.

    Args:
        cells: name -> cell.
        start: starts a cell; None: its device is taken, and another cell may start first.
        jobs: at least 1.
        recorded: seconds of earlier runs.
        ended: is told the name of each cell that ended, with its outcome, or why there is none.
        ranks: name -> rank; cells of a lower rank start before longer paths. A cell without one has rank 0.
    """
    lengths, ranks = path_lengths(cells, recorded), ranks or {}
    waiting = sorted(cells, key=lambda name: (ranks.get(name, 0), -lengths[name]))  # stable: as in dvc.yaml
    running: dict[str, Job] = {}
    report = Report()
    while True:
        for name in _ready(cells, waiting, report.done):
            if len(running) < jobs and (job := start(cells[name])) is not None:
                waiting.remove(name)
                running[name] = job
        if not running:
            report.blocked = waiting
            return report
        time.sleep(POLL)
        for name in [name for name, job in running.items() if job.done()]:
            outcome = _outcome(running.pop(name))
            if isinstance(outcome, Outcome) and outcome.status == 0:
                report.done[name] = outcome
            else:
                report.failed[name] = _reason(outcome)
            ended(name, outcome)


def _ready(cells: Mapping[str, Cell], waiting: list[str], done: Collection[str]) -> list[str]:
    return [name for name in waiting if all(other in done for other in cells[name].after & cells.keys())]


def _outcome(job: Job) -> Outcome | str:
    try:
        return job.result()
    except Exception as error:  # of a cluster: its libraries raise many types for a lost worker or job
        return " ".join(str(error).split()) or type(error).__name__


def _reason(outcome: Outcome | str) -> str:
    if isinstance(outcome, str):
        return outcome
    return "was stopped" if outcome.status == STOPPED else f"exit status {outcome.status}"
