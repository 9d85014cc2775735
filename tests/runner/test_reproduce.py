"""Small DVC pipelines through the runner: order, failure, kill and resume, DVC's locks."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sttreid.runner.executors import Executor, LocalExecutor
from sttreid.runner.graph import read_graph
from sttreid.runner.remotes import copy_remote, remote_settings
from sttreid.runner.reproduce import Runner
from sttreid.runner.workplace import log_path
from sttreid.runtime.errors import InputError, StageError
from tests.runner.pipelines import dvc, pipeline, ran, script, stage

CHAIN = {
    "a": stage("true", [], "a.txt"),
    "other": stage("true", [], "other.txt"),
    "b": stage("true", ["a.txt", "other.txt"], "b.txt"),
}


@pytest.fixture
def executor() -> Iterator[Executor]:
    executor = LocalExecutor(2)
    yield executor
    executor.close()


def test_a_run_leaves_nothing_to_do_for_dvc_and_a_second_one_starts_no_process(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline(tmp_path / "p", CHAIN)
    runner = Runner(executor, 2)
    assert runner.reproduce(folder, [])
    assert sorted(ran(folder)) == sorted(CHAIN)
    assert ran(folder)[-1] == "b"
    printed = capsys.readouterr().out
    assert sorted(line for line in printed.splitlines() if line.endswith(": done")) == sorted(
        f"{name}: done" for name in CHAIN
    )
    assert "up to date" in dvc(folder, "repro")
    assert not runner.reproduce(folder, [])
    assert not capsys.readouterr().out
    assert len(ran(folder)) == len(CHAIN)

    (folder / "b.txt").unlink()  # DVC restores it from its cache; what depends on it is unchanged
    assert runner.reproduce(folder, ["b"])
    assert (folder / "b.txt").exists()
    assert len(ran(folder)) == len(CHAIN)


def test_a_failure_stops_dependants_only_and_the_next_run_goes_on(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = {
        "bad": stage("test -e allowed", [], "bad.txt"),
        "other": stage("true", [], "other.txt"),
        "last": stage("true", ["bad.txt"], "last.txt"),
    }
    folder = pipeline(tmp_path / "p", stages)
    with pytest.raises(StageError, match=r"bad: failed.*1 stages wait"):
        Runner(executor, 2).reproduce(folder, [])
    assert "other: done" in capsys.readouterr().out
    assert sorted(ran(folder)) == ["bad", "other"]
    (folder / "allowed").touch()
    Runner(executor, 2).reproduce(folder, [])
    assert ran(folder)[2:] == ["bad", "last"]


def test_a_failure_is_not_told_with_the_messages_of_an_earlier_run(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run on a cluster leaves the messages of its cells in files."""
    folder = pipeline(tmp_path / "p", {"bad": stage("false", [], "bad.txt")})
    log = log_path(folder, "bad")
    log.parent.mkdir(parents=True)
    log.write_text("an earlier reason")
    with pytest.raises(StageError, match="bad: failed"):
        Runner(executor, 2).reproduce(folder, [])
    assert "an earlier reason" not in capsys.readouterr().out


RESUMES = """
test -e checkpoint && exit 0
trap 'sleep 0.3; touch checkpoint; exit 1' INT
touch started
while true; do sleep 0.1; done
"""
RUN = """
from pathlib import Path
from sttreid.runner.executors import LocalExecutor
from sttreid.runner.reproduce import Runner, interruptible
with interruptible():
    Runner(LocalExecutor(2), 2).reproduce(Path({folder!r}), [])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_from_its_checkpoint(
    tmp_path: Path, executor: Executor, number: signal.Signals
) -> None:
    folder = pipeline(tmp_path / "p", {"long": stage("sh resumes.sh", [], "long.txt")})
    (folder / "resumes.sh").write_text(RESUMES)
    command, variables = script(RUN.format(folder=str(folder)))
    with subprocess.Popen(command, env={**os.environ, **variables}) as run:
        while not (folder / "started").exists():
            assert run.poll() is None
            time.sleep(0.05)
        run.send_signal(number)
    if number == signal.SIGTERM:
        assert (folder / "checkpoint").exists(), "an interrupted run waits for its cells"
    Runner(executor, 2).reproduce(folder, [])  # waits for the cells of the killed one
    assert (folder / "checkpoint").exists()
    assert ran(folder) == ["long", "long"]
    assert not read_graph(folder).changed


def test_an_empty_lock_file_of_a_kill_fails_dvc_and_does_not_fail_the_runner(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline(tmp_path / "p", {"a": stage("true", [], "a.txt")})
    (folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (folder / ".dvc" / "tmp" / "rwlock").write_text("")
    assert "corrupted" in dvc(folder, "repro", ok=False)
    Runner(executor, 2).reproduce(folder, [])
    assert "rwlock: removed" in capsys.readouterr().out
    assert ran(folder) == ["a"]


def test_inputs_that_change_during_the_run_are_run_again_but_not_for_ever(
    tmp_path: Path, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline(
        tmp_path / "p",
        {
            "a": stage("true", ["input"], "a.txt"),
            "b": stage("(test -e edited || echo 2 > input) && touch edited", ["a.txt"], "b.txt"),
        },
    )
    (folder / "input").write_text("1\n")
    assert Runner(executor, 2).reproduce(folder, [])
    assert ran(folder).count("a") == 2
    assert "once more" in capsys.readouterr().out
    assert not read_graph(folder).changed


def test_finished_cells_reach_the_remote_with_their_run_cache(tmp_path: Path, executor: Executor) -> None:
    first, other = (
        pipeline(tmp_path / name, {"a": stage("true", ["input"], "a.txt")}) for name in ("first", "other")
    )
    for folder in (first, other):  # DVC's run cache needs a dependency
        (folder / "input").write_text("1\n")
    dvc(first, "remote", "add", "shared", str(tmp_path / "shared"))
    copy_remote(first, other, "shared")
    Runner(executor, 2, "shared").reproduce(first, [])
    dvc(other, "remote", "default", "--local", "shared")
    dvc(other, "repro", "--pull")
    assert (other / "a.txt").read_text() == "a\n"
    assert not ran(other), "from the run cache"


def test_an_unknown_remote_is_refused(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "p", {})
    with pytest.raises(InputError, match="no DVC remote 'shared'"):
        remote_settings(folder, "shared")


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_tracked_files_that_differ_from_their_pin_stop_the_run_before_it_starts(
    tmp_path: Path, executor: Executor, damage: str
) -> None:
    stages = {"a": stage("true", ["data"], "a.txt"), "other": stage("true", [], "other.txt")}
    folder = pipeline(tmp_path / "p", stages)
    file = folder / "data" / "x"
    file.parent.mkdir()
    file.write_text("right")
    dvc(folder, "add", "data")
    pin = (folder / "data.dvc").read_bytes()
    runner = Runner(executor, 1)
    assert runner.reproduce(folder, [])
    file.unlink()
    if damage == "changed":
        file.write_text("wrong")
    with pytest.raises(InputError, match=r"data\.dvc"):
        runner.reproduce(folder, [])
    assert not runner.reproduce(folder, ["other"])
    assert (folder / "data.dvc").read_bytes() == pin
    assert sorted(ran(folder)) == ["a", "other"]
    dvc(folder, "checkout", "--force", "data.dvc")
    assert not runner.reproduce(folder, [])
    file.write_text("mine")
    dvc(folder, "add", "data")
    assert runner.reproduce(folder, [])
    assert ran(folder)[2:] == ["a"]
