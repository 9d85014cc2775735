"""The progress bar, the log of a run's speed, and the text of its history."""

import io

import pandas as pd
import pytest

from sttreid.runtime import progress
from sttreid.runtime.progress import LOG, Progress, history_text

ROWS = [{"step": 1.0, "lr": 0.1, "loss": 2.0}, {"step": 2.0, "lr": 0.2, "loss": 1.0}]


def run(watch):
    for row, _ in zip(ROWS, watch.watch(iter("ab")), strict=True):
        watch.step(row)


def test_the_log_has_speed_and_waiting_of_every_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)  # a line per step
    for done in (0, 2):
        watch = Progress("test", done, 4, 8, tmp_path, True)
        run(watch)
        watch.close()
    log = pd.read_csv(tmp_path / LOG, sep="\t")
    assert log["step"].tolist() == [1, 2, 3, 4]
    assert (log["clips_per_second"] > 0).all()
    assert log["data_wait"].between(0, 1).all()


def test_an_invisible_process_writes_no_log(tmp_path):
    watch = Progress("test", 0, 2, 8, tmp_path, False)
    run(watch)
    watch.close()
    assert not list(tmp_path.iterdir())


def test_the_bar_shows_the_row_speed_and_waiting(monkeypatch):
    calls = []

    class Bar:
        disable = False

        def __init__(self, **settings):
            calls.append(settings)

        def update(self):
            pass

        def set_postfix(self, values, **_):
            calls.append(values)

        def close(self):
            pass

    monkeypatch.setattr(progress, "tqdm", Bar)
    run(Progress("test", 1, 6, 8, None, True))
    assert (calls[0]["total"], calls[0]["initial"]) == (6, 1)
    assert {"loss", "lr", "clips/s", "wait"} == set(calls[1])


@pytest.mark.parametrize(
    ("done", "expected"), [(0, "test: 2 steps, "), (3, "test: 2 steps (resumed after step 3), ")]
)
def test_the_summary_says_how_many_steps_this_process_made(done, expected):
    watch = Progress("test", done, 5, 8, None, True)
    run(watch)
    assert watch.close().startswith(expected)


def test_the_history_s_text_reads_back_and_leaves_gaps_empty():
    rows = [
        {"step": n, "loss": 1 / n, **({"rank1": 0.125, "gap": float("nan")} if n == 2 else {})}
        for n in (1, 2, 3)
    ]
    text = history_text(pd.DataFrame(rows))
    back = pd.read_csv(io.StringIO(text), sep="\t")
    pd.testing.assert_frame_equal(back, pd.DataFrame(rows), check_exact=False, rtol=1e-5, check_dtype=False)
    assert text.splitlines()[1].endswith("\t\t")
    assert text.splitlines()[2].endswith("\t0.125\t")


def test_a_history_without_steps_is_an_empty_text():
    assert history_text(pd.DataFrame()) == ""
