"""A run while it trains: its curve grows in the place of the finished one; a status says how far it is."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sttreid.config.conversion import parse
from sttreid.runtime import live
from sttreid.runtime.live import STATUS, Curve, Live, Status, curves, give_back
from tests.tiny import ROOT

ROWS = [
    {"step": 1.0, "lr": 0.1, "loss": 4.0},
    {"step": 2.0, "lr": 0.2, "loss": 2.0, "train_rank1": 0.5, "validation_rank1": 0.25},
    {"step": 3.0, "lr": 0.1, "loss": 1.5},
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Every step is published."""
    monkeypatch.setattr(live, "SECONDS", 0.0)


def status(folder):
    return parse(Status, json.loads((folder / STATUS).read_text()), "status")


def steps(rows):
    return " ".join(f"{row['step']:g}" for row in rows)


def test_the_curve_grows_over_the_earlier_one(tmp_path):
    path = tmp_path / "model.tsv"
    path.write_text("earlier")
    with curves([Curve(path, steps)]):
        run = Live("test", 3, 8, [], None)
        assert path.read_text() == "earlier"
        for row, text in zip(ROWS, ("1", "1 2", "1 2 3"), strict=True):
            run.step(row, False)
            assert path.read_text() == text
    assert path.read_text() == "1 2 3"


def test_a_resumed_run_begins_with_its_earlier_rows(tmp_path):
    path = tmp_path / "model.tsv"
    with curves([Curve(path, steps)]):
        Live("test", 3, 8, ROWS[:2], None).step(ROWS[2], False)
    assert path.read_text() == "1 2 3"


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("earlier", ["earlier", None])
def test_a_run_that_fails_gives_the_earlier_curve_back(tmp_path, earlier, error):
    path = tmp_path / "model.tsv"
    if earlier:
        path.write_text(earlier)

    def fail():
        with curves([Curve(path, steps)]):
            Live("test", 3, 8, [], None).step(ROWS[0], True)
            assert path.read_text() == "1"
            raise error

    with pytest.raises(error):
        fail()
    assert [file.read_text() for file in tmp_path.iterdir()] == ([earlier] if earlier else [])


def test_the_runs_of_a_stage_take_their_curves_in_order(tmp_path):
    path = tmp_path / "second.tsv"
    with curves([None, Curve(path, steps)]):
        runs = [Live("test", 3, 8, [], None) for _ in range(3)]
        for run, row in zip(runs, ROWS, strict=True):
            run.step(row, True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["2"]


def test_curves_end_with_their_block(tmp_path):
    with curves([Curve(tmp_path / "model.tsv", steps)]):
        pass
    Live("test", 3, 8, [], None).step(ROWS[0], True)
    assert not list(tmp_path.iterdir())


def test_the_status_has_the_last_measurement_and_the_mean_of_the_recent_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "RECENT", 2)
    run = Live("test", 4, 8, [], tmp_path)
    for row in ROWS:
        run.step(row, False)
    found = status(tmp_path)
    assert (found.step, found.steps, found.process) == (3, 4, os.getpid())
    assert (found.loss, found.lr) == (1.75, 0.1)
    assert (found.train_rank1, found.validation_rank1) == (0.5, 0.25)
    assert found.clips_per_second > 0


def test_what_was_not_measured_is_null(tmp_path):
    run = Live("test", 4, 8, [], tmp_path)
    run.step({"step": 1.0, "loss": 1.0, "train_rank1": math.nan}, True)
    assert (status(tmp_path).train_rank1, status(tmp_path).lr) == (None, None)


def test_between_two_updates_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 1000.0)
    run = Live("test", 4, 8, [], tmp_path)
    for row, evaluated, seen in zip(ROWS, (False, False, True), (1, 1, 3), strict=True):
        run.step(row, evaluated)
        assert status(tmp_path).step == seen


@pytest.mark.parametrize(("steps", "kept"), [(3, False), (4, True)])
def test_only_an_interrupted_run_keeps_its_status(tmp_path, steps, kept):
    run = Live("test", steps, 8, [], tmp_path)
    for row in ROWS:
        run.step(row, False)
    run.close()
    assert (tmp_path / STATUS).exists() == kept


def test_a_full_disk_does_not_stop_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "no space left")

    monkeypatch.setattr(live, "write_json", full)
    run = Live("test", 3, 8, [], tmp_path)
    run.step(ROWS[0], True)
    assert run.summary().step == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from sttreid.runtime.live import Curve, Live, curves
path, kept = map(Path, sys.argv[1:])
with curves([Curve(path, str)], kept):
    run = Live("test", 3, 8, [], None)
    run.step({"step": 1.0, "loss": 1.0}, True)
    run.step({"step": 2.0, "loss": 1.0}, True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path, kept):
    """A process that is killed while a curve grows."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", KILLED, str(path), str(kept)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    return path


@pytest.mark.parametrize("earlier", [b"earl\xffier", None])
def test_a_killed_run_gives_the_earlier_curve_back_at_the_next_stage(tmp_path, earlier):
    path, kept = tmp_path / "model.tsv", tmp_path / "kept"
    if earlier:
        path.write_bytes(earlier)
    killed(path, kept)
    assert path.exists()
    assert path.read_bytes() != earlier
    assert give_back(kept) == [path]
    assert (path.read_bytes() if path.exists() else None) == earlier
    assert not give_back(kept)
    assert not list(kept.glob("*.json"))


def test_a_file_that_has_replaced_the_curve_of_a_killed_run_stays(tmp_path):
    path, kept = tmp_path / "model.tsv", tmp_path / "kept"
    path.write_text("earlier")
    killed(path, kept).write_text("of another commit")
    assert not give_back(kept)
    assert path.read_text() == "of another commit"
    assert not list(kept.glob("*.json"))


def test_a_run_that_lives_keeps_its_curve_and_leaves_no_record(tmp_path):
    path, kept = tmp_path / "model.tsv", tmp_path / "kept"
    with curves([Curve(path, steps)], kept):
        Live("test", 3, 8, [], None).step(ROWS[0], True)
        assert not give_back(kept)
        assert path.read_text() == "1"
    assert not list(kept.iterdir())


def test_a_damaged_record_is_removed(tmp_path):
    record = tmp_path / "kept" / "x.json"
    record.parent.mkdir()
    for text in ("", "[1]", '{"path": 1}'):
        record.write_text(text)
        assert not give_back(record.parent)
        assert not record.exists()


def test_a_second_process_of_the_same_run_takes_no_record(tmp_path):
    path, kept = tmp_path / "model.tsv", tmp_path / "kept"
    path.write_text("earlier")
    with curves([Curve(path, steps)], kept):
        Live("test", 3, 8, [], None).step(ROWS[0], True)
        held = {record: record.read_text() for record in kept.glob("*.json")}
        with curves([Curve(Path(path), steps)], kept):
            pass
        assert {record: record.read_text() for record in kept.glob("*.json")} == held
        assert held
