"""Tasks and their guard, with real processes."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sttreid.runner.cells import STOPPED, Outcome, Task
from tests.runner.pipelines import script

SECONDS = 60  # at most, on a loaded machine
# writes its process ID, works until it is interrupted, and then writes a "checkpoint" in peace
TRAINING = """
import os, pathlib, signal, sys, time
def finish(*_):
    time.sleep(0.3)
    pathlib.Path("checkpoint").write_text("step 1")
    sys.exit(7)
signal.signal(signal.SIGINT, finish)
pathlib.Path("pid.tmp").write_text(str(os.getpid()))
os.rename("pid.tmp", "pid")
time.sleep(600)
"""


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "run.lease"
    path.parent.mkdir()
    path.touch()
    return path


def task(folder: Path, lease: Path, code: str, **fields: object) -> Task:
    return Task("train@0", ("-c", code), folder, lease, **fields)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("code", "status"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_status_is_that_of_the_command(tmp_path: Path, lease: Path, code: str, status: int) -> None:
    outcome = task(tmp_path, lease, code)()
    assert outcome.status == status
    assert outcome.seconds > 0
    assert outcome.pushed is None


def test_a_task_crosses_to_another_process_with_folder_variables_and_messages(
    tmp_path: Path, lease: Path
) -> None:
    code = (
        "import os, sys; print(os.getcwd(), os.environ['A'], os.environ['OMP_NUM_THREADS'], file=sys.stderr)"
    )
    log = tmp_path / "logs" / "train.log"
    before = task(tmp_path, lease, code, environment={"A": "b", "OMP_NUM_THREADS": "3"}, log=log)
    assert pickle.loads(pickle.dumps(before))().status == 0
    assert log.read_text().split() == [str(tmp_path), "b", "3"]


def test_stages_find_this_python(tmp_path: Path, lease: Path) -> None:
    code = "import shutil, sys; raise SystemExit(shutil.which('python') is None)"
    assert task(tmp_path, lease, code)().status == 0


@pytest.mark.parametrize(("code", "pushed"), [("pass", True), ("raise SystemExit(1)", False)])
def test_outputs_are_pushed_after_a_success_and_a_failed_push_is_no_failed_cell(
    tmp_path: Path, lease: Path, code: str, pushed: bool
) -> None:
    outcome = task(tmp_path, lease, "pass", push=("-c", code))()
    assert (outcome.status, outcome.pushed) == (0, pushed)
    failed = task(tmp_path, lease, "raise SystemExit(1)", push=("-c", code))()
    assert (failed.status, failed.pushed) == (1, None)


def test_nothing_starts_without_a_lease(tmp_path: Path, lease: Path) -> None:
    lease.unlink()
    outcome = task(tmp_path, lease, "open('ran', 'w')")()
    assert outcome == Outcome(STOPPED, 0.0)
    assert not (tmp_path / "ran").exists()


def test_the_end_of_the_lease_interrupts_the_command_once_and_waits_for_it(
    tmp_path: Path, lease: Path
) -> None:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(task(tmp_path, lease, TRAINING)()))
    thread.start()
    wait_for((tmp_path / "pid").exists)
    lease.unlink()
    thread.join(SECONDS)
    assert [outcome.status for outcome in outcomes] == [7]
    assert (tmp_path / "checkpoint").read_text() == "step 1"


def test_a_killed_runner_takes_its_cells_with_it_and_the_next_waits_for_them(
    tmp_path: Path, lease: Path
) -> None:
    code = f"""
from pathlib import Path
from sttreid.runner.cells import Task
Task("train@0", ("-c", {TRAINING!r}), Path({str(tmp_path)!r}), Path({str(lease)!r}))()
"""
    command, variables = script(code)
    with subprocess.Popen(command, env={**os.environ, **variables}) as runner:
        wait_for((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        runner.send_signal(signal.SIGKILL)
    # the same cell, as the next runner starts it: the first one has ended before it begins
    check = (
        f"import os; raise SystemExit(not os.path.exists('checkpoint') or os.path.exists('/proc/{pid}/fd/0'))"
    )
    assert task(tmp_path, lease, check)().status == 0
    assert not alive(pid)


def test_cells_of_different_names_do_not_wait_for_each_other(tmp_path: Path, lease: Path) -> None:
    thread = threading.Thread(target=task(tmp_path, lease, TRAINING))
    thread.start()
    wait_for((tmp_path / "pid").exists)
    assert Task("train@1", ("-c", "pass"), tmp_path, lease)().status == 0
    assert thread.is_alive()
    lease.unlink()
    thread.join(SECONDS)


def test_the_guard_needs_nothing_but_the_standard_library() -> None:
    from sttreid.runner import guard

    code = f"import runpy, sys; runpy.run_path({guard.__file__!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert not {"sttreid", "numpy", "psutil", "dvc"} & set(done.stdout.split())
