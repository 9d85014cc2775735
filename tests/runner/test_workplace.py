"""One runner per folder, and what killed processes left there."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sttreid.runner import workplace
from sttreid.runtime.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here" / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path / "here"


@pytest.fixture
def dvc_process(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a DVC command in the folder."""
    program = tmp_path / "bin" / "dvc"
    program.parent.mkdir()
    program.write_text("import time\ntime.sleep(600)\n")
    inside = folder / "below"
    inside.mkdir()
    with subprocess.Popen([sys.executable, "-S", program, "repro"], cwd=inside) as process:
        while not workplace.dvc_processes(folder):
            time.sleep(0.05)
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("text", "removed"), [("", True), ('{"write": {"/a', True), ("{}", False), ('{"read": {}}', False)]
)
def test_a_lock_file_that_a_kill_left_empty_or_cut_off_is_removed_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, removed: bool
) -> None:
    path = folder / ".dvc" / "tmp" / "rwlock"
    path.write_text(text)
    with workplace.hold(folder):
        assert path.exists() != removed
    assert (str(path) in capsys.readouterr().out) == removed
    if not removed:
        assert path.read_text() == text


@pytest.mark.parametrize(("alive", "removed"), [(True, True), (False, False)])
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_lock_of_a_number_that_another_program_has_now_is_removed(
    folder: Path, capsys: pytest.CaptureFixture[str], side: str, alive: bool, removed: bool
) -> None:
    """DVC itself removes those of processes that have gone."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = {"pid": process.pid if alive else 2**22 + 1, "cmd": "dvc repro"}
        path = folder / ".dvc" / "tmp" / "rwlock"
        path.write_text(json.dumps({side: {"/a": [holder] if side == "read" else holder}}))
        workplace.repair_lock_file(folder)
        assert path.exists() != removed
        assert bool(capsys.readouterr().out) == removed


@pytest.mark.parametrize("text", ["[]", '{"read": [1]}', '{"write": {"/a": 1}}'])
def test_a_lock_file_of_another_form_is_removed(folder: Path, text: str) -> None:
    path = folder / ".dvc" / "tmp" / "rwlock"
    path.write_text(text)
    workplace.repair_lock_file(folder)
    assert not path.exists()


LOCK = """schema: '2.0'
stages:
  a:
    cmd: 'true'
    outs:
    - path: a.txt
      hash: md5
      md5: 0123abcd
"""


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, check=True)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("left", ["", LOCK[:23], LOCK[:30], LOCK[:-27]])
def test_a_pipeline_lock_that_a_kill_left_cut_off_is_that_of_git_or_none(
    folder: Path, capsys: pytest.CaptureFixture[str], left: str, committed: bool
) -> None:
    path = folder / "dvc.lock"
    path.write_text(LOCK)
    git(folder, "init", "-q")
    if committed:
        git(folder, "add", "-f", "dvc.lock")
        git(folder, "commit", "-q", "-m", "run")
    with workplace.hold(folder):
        assert path.read_text() == LOCK
    assert not capsys.readouterr().out
    path.write_text(left)
    with workplace.hold(folder):
        assert (path.read_text() if path.exists() else None) == (LOCK if committed else None)
    assert str(path) in capsys.readouterr().out


def test_a_damaged_pipeline_lock_stays_while_a_dvc_command_runs(
    folder: Path, dvc_process: subprocess.Popen[bytes]
) -> None:
    path = folder / "dvc.lock"
    path.write_text("")
    with pytest.raises(InputError, match=str(dvc_process.pid)):
        workplace.repair_pipeline_lock(folder)
    assert path.read_text() == ""


def test_a_folder_without_lock_file_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workplace.repair_lock_file(folder)
    assert not capsys.readouterr().out


def test_the_lock_file_stays_while_a_dvc_command_runs(
    folder: Path, dvc_process: subprocess.Popen[bytes]
) -> None:
    path = folder / ".dvc" / "tmp" / "rwlock"
    path.write_text("")
    assert list(workplace.dvc_processes(folder)) == [dvc_process.pid]
    with pytest.raises(InputError, match=str(dvc_process.pid)):
        workplace.repair_lock_file(folder)
    assert path.exists()
    dvc_process.kill()
    dvc_process.wait()
    workplace.repair_lock_file(folder)
    assert not path.exists()


def test_dvc_commands_of_other_repositories_do_not_count(
    folder: Path, dvc_process: subprocess.Popen[bytes]
) -> None:
    inner = folder / "below" / "run"
    (inner / ".dvc").mkdir(parents=True)
    assert not workplace.dvc_processes(inner)
    assert not workplace.dvc_processes(folder.parent)


def test_a_runner_waits_for_the_dvc_commands_of_a_killed_one_but_not_for_ever(
    folder: Path, dvc_process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "PATIENCE", 0.3)
    with pytest.raises(InputError, match=f"DVC commands still run here: process {dvc_process.pid}"):
        workplace.hold(folder).__enter__()
    monkeypatch.setattr(workplace, "PATIENCE", 60.0)
    dvc_process.kill()
    with workplace.hold(folder) as lease:
        assert lease.exists()


def test_one_runner_at_a_time_works_in_a_folder(folder: Path) -> None:
    with workplace.hold(folder) as lease:
        with pytest.raises(InputError, match="one runner at a time"):
            workplace.hold(folder).__enter__()
        assert lease.exists(), "the second one did not end the first one's lease"
    assert not lease.exists()


def test_a_folder_without_dvc_is_refused_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a DVC repository"):
        workplace.hold(tmp_path).__enter__()
    assert not list(tmp_path.iterdir())


def test_leases_of_a_killed_runner_end(folder: Path) -> None:
    left = folder / workplace.STATE / "old.lease"
    left.parent.mkdir(parents=True)
    left.touch()
    with workplace.hold(folder) as lease:
        assert not left.exists()
        assert lease.exists()


def test_seconds_are_kept_for_the_next_run(folder: Path) -> None:
    assert workplace.recorded_seconds(folder) == {}
    workplace.record_seconds(folder, {"a": 1.0, "b": 2.0})
    workplace.record_seconds(folder, {"a": 0.5, "b": 3.0})  # a: from DVC's run cache
    assert workplace.recorded_seconds(folder) == {"a": 1.0, "b": 3.0}


@pytest.mark.parametrize("text", ["", "[1]", json.dumps({"a": "x"})])
def test_damaged_seconds_are_no_seconds(folder: Path, text: str) -> None:
    path = folder / workplace.STATE / "seconds.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert workplace.recorded_seconds(folder) == {}
