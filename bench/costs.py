"""What a call costs: CPU seconds of all threads and ended children, seconds by the clock, memory.

Candidates that are compared run in turn, each in a process of its own that stays: none profits from what
another has loaded, and all meet the same state of the machine.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

Call = Callable[[], object]
Maker = Callable[..., Call]  # its work, such as loading data, is not measured

PAGE: Final = 0.004  # MB, the least that is counted
PERIOD: Final = 0.005  # seconds between two samples of the anonymous memory

_call: Call | None = None  # of a candidate's process


@dataclass(frozen=True)
class Cost:
    """Of one call: seconds of CPU and of the clock, MB (10^6) at most beside those before, its result."""

    cpu: float
    wall: float
    memory: float
    result: Any = None


def cpu() -> float:
    """User and system seconds of this process so far, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def memory(name: str) -> float:
    """VmRSS, VmHWM or RssAnon of this process in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def measure(call: Call, mapped: bool = False) -> Cost:
    """The cost of one call.

    Args:
        call: is called once.
        mapped: it reads a memory map, whose pages the system can drop at any time: only anonymous memory
            counts, sampled, because the system records no peak of it.
    """
    stop, peak, sampling = Event(), [memory("RssAnon")], [0.0]

    def watch() -> None:
        while not stop.wait(PERIOD):
            peak[0] = max(peak[0], memory("RssAnon"))
        sampling[0] = time.thread_time()

    thread = Thread(target=watch)
    before = memory("RssAnon" if mapped else "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    if mapped:
        thread.start()
    start, clock = cpu(), time.monotonic()
    result = call()
    wall = time.monotonic() - clock
    stop.set()
    if mapped:
        thread.join()
    seconds = cpu() - start - sampling[0]
    grown = (peak[0] if mapped else memory("VmHWM")) - before
    return Cost(seconds, wall, max(grown, PAGE), result)


@dataclass(frozen=True)
class Candidate:
    """The maker of a call, the maker's arguments, and environment variables of the process."""

    maker: Maker
    arguments: tuple[Any, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def side_by_side(
    candidates: Mapping[str, Candidate],
    rounds: int,
    once: frozenset[str] = frozenset(),
    mapped: bool = False,
) -> dict[str, list[Cost]]:
    """The costs of candidates that take turns.

    Args:
        candidates: by name.
        rounds: of every candidate ...
        once: ... but these, which have one.
        mapped: as in :func:`measure`.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in candidates}
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
            for name in candidates
        }
        for name, candidate in candidates.items():
            with _environment(candidate.environment):  # the first task starts the process
                pools[name].submit(_prepare, candidate.maker, candidate.arguments).result()
        for turn in range(rounds):
            for name in candidates:
                if turn == 0 or name not in once:
                    costs[name].append(pools[name].submit(_run, mapped).result())
    return costs


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def per_call(call: Call, seconds: float = 0.2) -> float:
    """CPU seconds of one of many calls, repeated for at least so many of them."""
    call()
    start, calls = time.process_time(), 0
    while (used := time.process_time() - start) < seconds:
        call()
        calls += 1
    return used / calls


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _prepare(maker: Maker, arguments: tuple[Any, ...]) -> None:
    global _call
    _call = maker(*arguments)


def _run(mapped: bool) -> Cost:
    assert _call is not None
    return measure(_call, mapped)
