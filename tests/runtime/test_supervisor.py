"""The supervisor: what it writes, shows and resumes, and how it stops."""

import os
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.runtime.checkpoints import SECONDS, checkpoint_folder
from sttreid.runtime.distributed import SINGLE, ProcessGroup
from sttreid.runtime.live import Curve, curves
from sttreid.runtime.progress import history_text
from sttreid.runtime.supervisor import stop_signals, supervise

SETTINGS, CONTENT = {"lr": 0.1}, [b"weights"]
ROWS = [{"step": float(step), "loss": 1 / step} for step in range(1, 5)]


def state(steps):
    return {"network": {"w": torch.full((2,), float(steps))}, "history": ROWS[:steps]}


def run(observer, first, end, evaluated=()):
    """Make the steps from ``first`` to ``end``, as training does."""
    for step in observer.watch(iter(range(first + 1, end + 1)), first, 4, 8):
        observer.stepped(ROWS[step - 1], lambda step=step: state(step), step in evaluated, step == 4)


def interrupted(path, settings, content, end):
    """A run that starts anew, validates after step 2, and fails after step ``end``."""
    with checkpoint_folder(path) as folder, supervise("test", folder, SINGLE) as observer:
        assert observer.resume(settings, content) is None
        run(observer, 0, end, evaluated=(2,))
        raise KeyError


@pytest.fixture(autouse=True)
def rarely(monkeypatch):
    """No checkpoint is due because of the time."""
    monkeypatch.setenv(SECONDS, "1000")


def names(path):
    return sorted(file.name for file in path.glob("*/step-*.pt"))


def test_a_run_resumes_after_its_last_checkpoint_and_says_so(tmp_path, capsys):
    with pytest.raises(KeyError):
        interrupted(tmp_path, SETTINGS, CONTENT, 3)
    assert names(tmp_path) == ["step-000000002.pt"]
    with checkpoint_folder(tmp_path) as folder, supervise("test", folder, SINGLE) as observer:
        resumed = observer.resume(SETTINGS, CONTENT)
        assert resumed["history"] == ROWS[:2]
        assert torch.equal(resumed["network"]["w"], torch.full((2,), 2.0))
        run(observer, 2, 4)
        assert names(tmp_path) == ["step-000000002.pt", "step-000000004.pt"]
    assert "test: 2 steps (resumed after step 2)" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_other_settings_or_data_start_anew(tmp_path):
    for settings, content in ((SETTINGS, CONTENT), ({"lr": 0.2}, CONTENT), (SETTINGS, [b"other"])):
        with pytest.raises(KeyError):
            interrupted(tmp_path, settings, content, 4)
    assert len(list(tmp_path.glob("*/"))) == 3


def test_a_resumed_run_publishes_its_whole_history(tmp_path):
    curve = Curve(tmp_path / "plots" / "model.tsv", lambda rows: history_text(pd.DataFrame(rows)))
    with pytest.raises(KeyError):
        interrupted(tmp_path, SETTINGS, CONTENT, 3)
    folders = checkpoint_folder(tmp_path)
    with curves([curve]), folders as folder, supervise("test", folder, SINGLE) as observer:
        observer.resume(SETTINGS, CONTENT)
        run(observer, 2, 3, evaluated=(3,))
        assert curve.path.read_text() == history_text(pd.DataFrame(ROWS[:3]))


def test_the_last_line_of_a_run_has_what_it_found(tmp_path, capsys):
    rows = [{"step": 1.0, "loss": 3.0}, {"step": 2.0, "loss": 1.0, "train_rank1": 0.75}]
    with supervise("test 0", None, SINGLE) as observer:
        for row in observer.watch(iter(rows), 0, 2, 8):
            observer.stepped(row, dict, False, False)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("test 0: step 2 of 2: ")
    assert "loss 2.000" in last
    assert "75.0 on training" in last


def test_without_a_folder_nothing_is_written_and_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with supervise("test", None, SINGLE) as observer:
        assert observer.resume(SETTINGS, CONTENT) is None
        run(observer, 0, 4, evaluated=(2,))
        assert observer.diverged(3, state(3)) == ""
    assert not list(tmp_path.iterdir())


def test_other_processes_than_the_first_write_no_checkpoint_and_say_nothing(tmp_path, capsys, monkeypatch):
    group = ProcessGroup(1, 2)
    monkeypatch.setattr(ProcessGroup, "broadcast", lambda *_: None)
    with checkpoint_folder(tmp_path) as folder, supervise("test", folder, group) as observer:
        observer.resume(SETTINGS, CONTENT)
        run(observer, 0, 4, evaluated=(2,))
        observer.notify("message")
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def test_a_divergence_is_kept_with_all_inputs_of_its_step(tmp_path):
    row = {"loss": float("nan")}
    with checkpoint_folder(tmp_path) as folder, supervise("test", folder, SINGLE) as observer:
        sentence = observer.diverged(3, {**state(2), "row": row, "clips": torch.ones(3)})
    path = tmp_path / "post-mortem-step-3-rank-0.pt"
    assert str(path) in sentence
    content = torch.load(path, weights_only=True)
    assert np.isnan(content["row"]["loss"])
    assert torch.equal(content["clips"], torch.ones(3))


def test_messages_name_the_run(capsys):
    with supervise("pretrain 0", None, SINGLE) as observer:
        observer.notify("batches repeat tracklets")
    assert capsys.readouterr().err == "pretrain 0: batches repeat tracklets\n"


def test_a_signal_is_a_request_to_stop():
    with supervise("test", None, SINGLE) as observer:
        assert not observer.stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert observer.stop_requested()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_collected_and_the_second_one_has_its_usual_effect(number):
    reached = []
    before = signal.signal(number, lambda *_: reached.append("outer"))
    try:
        with stop_signals() as received:
            os.kill(os.getpid(), number)
            assert (received, reached) == ([number], [])
            os.kill(os.getpid(), number)
            assert (received, reached) == ([number], ["outer"])
        os.kill(os.getpid(), number)
        assert reached == ["outer"] * 2
    finally:
        signal.signal(number, before)


def test_signals_are_not_handled_in_other_threads():
    lists = []

    def work():
        with stop_signals() as received:
            lists.append(list(received))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert lists == [[]]
