"""The table of running trainings: every status of the workspace, of DVC's queue and of studies."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from sttreid.cli import checkout
from sttreid.cli.commands import main
from sttreid.cli.watch import lines
from sttreid.runtime.live import STATUS, Status

NOW = 1000.0
RUN = Status("pretrain 0", os.getpid(), 50, 100, 2.0, 48.0, 0.004, 1.5, 0.5, 0.25, NOW - 3)


def put(folder, status):
    folder.mkdir(parents=True)
    (folder / STATUS).write_text(json.dumps(asdict(status)))


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_row_has_step_loss_rate_rank1_and_the_time_left(tmp_path):
    put(tmp_path / ".scratch" / "pretrain-0", RUN)
    header, row = lines(tmp_path, NOW)
    assert " ".join(row.split()) == "pretrain 0 50/100 1.500 0.004 50.0 25.0 48.0 25 s 3 s"
    assert header.index("loss") > header.index("step")


def test_runs_of_the_queue_and_of_studies_are_listed(tmp_path):
    put(tmp_path / ".scratch" / "pretrain-0", RUN)
    put(tmp_path / ".dvc/tmp/exps/a1/.scratch" / "finetune-campus-0", replace(RUN, name="finetune campus 0"))
    put(tmp_path / "experiments/claims/run/.scratch" / "ablate-cnn-1", replace(RUN, name="ablate cnn 1"))
    names = [row.split("  ")[0] for row in lines(tmp_path, NOW)[1:]]
    assert names == ["pretrain 0", "finetune campus 0", "claims: ablate cnn 1"]


def test_a_scratch_folder_elsewhere_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("STTREID_SCRATCH", str(tmp_path / "elsewhere"))
    put(tmp_path / "elsewhere" / "pretrain-0", RUN)
    assert len(lines(tmp_path / "checkout", NOW)) == 2


def test_what_is_not_known_yet_is_a_dash(tmp_path):
    put(tmp_path / ".scratch" / "a", replace(RUN, lr=None, train_rank1=None, validation_rank1=None))
    assert lines(tmp_path, NOW)[1].split()[4:7] == ["-", "-", "-"]


def test_a_run_whose_process_has_ended_is_interrupted(tmp_path, ended):
    put(tmp_path / ".scratch" / "a", replace(RUN, process=ended))
    assert lines(tmp_path, NOW)[1].endswith("interrupted 3 s ago")


@pytest.mark.parametrize("process", [2**31, 2**100])
def test_a_number_that_no_process_has_is_that_of_a_run_that_ended(tmp_path, process):
    put(tmp_path / ".scratch" / "a", replace(RUN, process=process))
    assert lines(tmp_path, NOW)[1].endswith("interrupted 3 s ago")


def test_a_file_that_is_being_replaced_is_skipped(tmp_path):
    put(tmp_path / ".scratch" / "a", RUN)
    (tmp_path / ".scratch" / "a" / STATUS).write_text("{")
    assert len(lines(tmp_path, NOW)) == 1


def test_once_prints_one_table_and_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkout, "root", lambda: tmp_path)
    put(tmp_path / ".scratch" / "pretrain-0", RUN)
    with pytest.raises(SystemExit) as end:
        main(["watch", "--once"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "pretrain 0" in text
    assert "\033" not in text
    assert max(map(len, text.splitlines())) <= 100
