"""Run what is out of date in a DVC pipeline."""

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sttreid.runner import workplace
from sttreid.runner.cells import Cell, Outcome, Task
from sttreid.runner.executors import Executor
from sttreid.runner.graph import Graph, read_graph
from sttreid.runner.schedule import Job, Report, run_cells
from sttreid.runtime.errors import InputError, StageError
from sttreid.runtime.pins import advice, differs_from_git

ROUNDS: Final = 2  # a file that is edited while its cells run puts them out of date once more
LINES: Final = 5  # of a failed cell's messages


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT raise KeyboardInterrupt, even where a shell ignores SIGINT; a second one kills."""

    def interrupt(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Runner:
    """Runs cells on an executor.

    Attributes:
        executor: where they run.
        jobs: cells at once.
        remote: name of the DVC remote that gets the outputs and the run cache after each cell; None: none.
    """

    executor: Executor
    jobs: int
    remote: str | None = None

    def reproduce(
        self,
        folder: Path,
        targets: Iterable[str],
        environment: Mapping[str, str] | None = None,
        finished: Callable[[str], None] | None = None,
        *,
        allow_missing: bool = False,
    ) -> bool:
        """Run the cells that are out of date; each as ``dvc repro --single-item``, so DVC records them.

        Args:
            folder: of a DVC repository.
            targets: cells or stages that are wanted, with all that they wait for; what an earlier one needs
                starts first. Empty: all.
            environment: variables to set for the cells.
            finished: is called with the name of each cell that succeeded, before the next cell starts.
            allow_missing: only missing outputs of targets, and those that a cell that runs reads, are made.

        Returns:
            Whether anything was out of date.

        Raises:
            InputError: a target or the pipeline is invalid, tracked data differ from their .dvc file or this
                from the one in git, or DVC runs in the folder already.
            StageError: cells failed, or inputs change again and again.
        """
        targets = list(targets)
        with workplace.hold(folder) as lease:
            graph = read_graph(folder, allow_missing=allow_missing)
            if changed := [advice(pin) for pin in graph.pins if differs_from_git(pin)]:
                raise InputError(*changed)
            first = graph.subset(graph.first(targets))
            if first:
                _check_pins(graph, first)
                self._run(folder, first, _ranks(graph, targets), lease, environment or {}, finished)
                graph = read_graph(folder, allow_missing=allow_missing)
            plan = _plan(graph, targets)
            for ran in range(ROUNDS):
                if not plan:
                    return bool(first) or ran > 0
                _check_pins(graph, plan)
                _announce(graph, plan, again=ran > 0)
                self._run(folder, plan, _ranks(graph, targets), lease, environment or {}, finished)
                graph = read_graph(folder, allow_missing=allow_missing)
                plan = _plan(graph, targets)
            if not plan:
                return True
        raise StageError(f"{', '.join(plan)}: out of date again: inputs change while the pipeline runs")

    def _run(
        self,
        folder: Path,
        plan: Mapping[str, Cell],
        ranks: Mapping[str, int],
        lease: Path,
        environment: Mapping[str, str],
        finished: Callable[[str], None] | None,
    ) -> None:
        def start(cell: Cell) -> Job | None:
            if not self.executor.free(cell.gpus):
                return None
            workplace.log_path(folder, cell.name).unlink(missing_ok=True)  # of an earlier run
            return self.executor.submit(self._task(folder, cell, lease, environment), cell.gpus)

        def ended(name: str, outcome: Outcome | str) -> None:
            _report(folder, name, outcome)
            if isinstance(outcome, Outcome) and outcome.status == 0:
                workplace.record_seconds(folder, {name: outcome.seconds})
                if finished is not None:
                    finished(name)

        try:
            recorded = workplace.recorded_seconds(folder)
            report = run_cells(plan, start, self.jobs, recorded, ended, ranks)
        except BaseException:
            lease.unlink(missing_ok=True)  # asks the cells to stop
            self.executor.settle()
            raise
        if report.failed:
            raise StageError(_failures(report))

    def _task(self, folder: Path, cell: Cell, lease: Path, environment: Mapping[str, str]) -> Task:
        # -s (no upstream stages) makes parallel calls safe: they wait for DVC's lock, and no two cells
        # that run at once write to one path
        dvc = ("-m", "dvc", "--wait-for-lock")
        push = (*dvc, "push", "-q", "--run-cache", "-r", self.remote, cell.name) if self.remote else ()
        return Task(
            name=cell.name,
            words=(*dvc, "repro", "-s", cell.name),
            folder=folder.resolve(),
            lease=lease.resolve(),
            environment=environment,
            push=push,
            log=workplace.log_path(folder.resolve(), cell.name) if self.executor.remote else None,
        )


def _plan(graph: Graph, targets: list[str]) -> dict[str, Cell]:
    return graph.subset(graph.outdated(targets))


def _ranks(graph: Graph, targets: list[str]) -> dict[str, int]:
    """Cell -> position of the first target that needs it."""
    ranks: dict[str, int] = {}
    for rank, target in enumerate(targets):
        for name in graph.needed([target]):
            ranks.setdefault(name, rank)
    return ranks


def _check_pins(graph: Graph, plan: Mapping[str, Cell]) -> None:
    """Refuse files that differ from their .dvc file: `dvc repro` would write their checksums into it.

    Raises:
        InputError: cells of the plan read such files.
    """
    pins = dict.fromkeys(pin for name, pin in graph.altered.items() if name in plan)
    if pins:
        raise InputError(*map(advice, pins))


def _announce(graph: Graph, plan: Mapping[str, Cell], *, again: bool) -> None:
    if again:
        print(f"inputs changed during the run: {', '.join(plan)} once more", flush=True)
    elif idle := len(graph.cells) - len(plan):
        print(f"{idle} of {len(graph.cells)} stages are up to date or not needed", flush=True)


def _report(folder: Path, name: str, outcome: Outcome | str) -> None:
    """One line for a cell that ended; the end of its messages if it failed on another machine."""
    if isinstance(outcome, Outcome) and outcome.status == 0:
        print(f"{name}: done", flush=True)
        if outcome.pushed is False:
            print(f"{name}: its outputs did not reach the remote; dvc push repeats it", flush=True)
        return
    print(f"{name}: failed", flush=True)
    log = workplace.log_path(folder, name)
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join([f"{log}:", *lines[-LINES:]]), flush=True)


def _failures(report: Report) -> str:
    failed = "; ".join(
        f"{name}: failed ({reason})" if reason != "exit status 1" else f"{name}: failed"
        for name, reason in report.failed.items()
    )
    waiting = f"; {len(report.blocked)} stages wait for them" if report.blocked else ""
    return f"{failed}, see above{waiting}; the next call resumes after the finished stages"
