import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.costs import Candidate, in_process, measure, per_call, side_by_side


def noting(folder: Path, name: str) -> Callable[[], tuple[int, str | None]]:
    """A call that writes down its turn, and returns its process and a variable of its environment."""

    def call() -> tuple[int, str | None]:
        with (folder / "turns").open("a") as file:
            file.write(name)
        return os.getpid(), os.environ.get("STTREID_BENCH_TEST")

    return call


def test_candidates_take_turns_in_processes_that_stay(tmp_path: Path) -> None:
    candidates = {
        "a": Candidate(noting, (tmp_path, "a")),
        "b": Candidate(noting, (tmp_path, "b"), {"STTREID_BENCH_TEST": "set"}),
        "c": Candidate(noting, (tmp_path, "c")),
    }
    costs = side_by_side(candidates, 2, once=frozenset({"c"}))
    assert (tmp_path / "turns").read_text() == "abcab"
    processes = {name: {cost.result[0] for cost in rows} for name, rows in costs.items()}
    assert all(len(each) == 1 for each in processes.values())
    assert len(set.union(*processes.values())) == 3
    assert [costs[name][0].result[1] for name in "abc"] == [None, "set", None]
    assert "STTREID_BENCH_TEST" not in os.environ


@pytest.mark.parametrize("mapped", [False, True])
def test_memory_is_the_growth_of_the_peak(mapped: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "file.npy", np.ones(5_000_000))

    def call() -> float:
        np.load(tmp_path / "file.npy", mmap_mode="r").sum()
        held = np.ones(10_000_000)
        time.sleep(0.1)
        return float(held[0])

    cost = measure(call, mapped)
    assert 80 <= cost.memory + 1 < (90 if mapped else 130)  # the 40 MB of the file count if files do
    assert 0 < cost.cpu < cost.wall
    assert cost.result == 1


def test_the_time_of_a_call_is_that_of_one_of_many() -> None:
    def spin() -> None:
        end = time.process_time() + 0.002
        while time.process_time() < end:
            pass

    assert 0.0015 < per_call(spin, 0.02) < 0.004


def test_work_runs_in_another_process() -> None:
    assert in_process(os.getpid) != os.getpid()
