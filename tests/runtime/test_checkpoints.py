"""Interrupted runs, full disks and damaged checkpoints: the results equal those of an uninterrupted run."""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sttreid.runtime.checkpoints import (
    CheckpointFolder,
    Checkpoints,
    checkpoint_folder,
    fingerprint,
    pack,
    unpack,
)
from sttreid.runtime.errors import InputError
from tests.training.runs import STEPS, Signal, outcome, start


@pytest.fixture(scope="module")
def uninterrupted(store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The result of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(store_folder, folder)
    process.join(60)
    assert process.exitcode == 0, logged(folder)
    assert not list((folder / "scratch").glob("*/"))
    return outcome(folder)


def logged(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def finish(store: Path, folder: Path) -> tuple[bytes, bytes]:
    process = start(store, folder)
    process.join(60)
    assert process.exitcode == 0, logged(folder)
    return outcome(folder)


def killed(store: Path, folder: Path, step: int) -> None:
    """A run that is killed in the middle of one of its steps."""
    process = start(store, folder, Signal(signal.SIGKILL, step))
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def paths(folder: Path) -> list[Path]:
    return sorted((folder / "scratch").glob("*/step-*.pt"))


def test_two_runs_give_the_same_bytes(store_folder, uninterrupted, tmp_path):
    assert finish(store_folder, tmp_path) == uninterrupted


def last_step(folder: Path) -> int:
    return max((int(path.stem.removeprefix("step-")) for path in paths(folder)), default=0)


def test_a_run_that_is_killed_repeatedly_gives_the_same_bytes(store_folder, uninterrupted, tmp_path):
    """Signals at random times: in a step, in a checkpoint, before the first one, near the end."""
    rng = random.Random(0)
    kills = 0
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = False
        while not ended:
            process = start(store_folder, folder)
            goal = last_step(folder) + rng.randint(0, 7)
            while process.is_alive() and last_step(folder) < goal:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.03))
            (process.kill if rng.random() < 0.6 else process.terminate)()
            process.join(60)
            ended = process.exitcode == 0
            kills += not ended
        assert outcome(folder) == uninterrupted
        assert not paths(folder)
    assert kills >= 6  # 24 steps, at most seven of them at a time


@pytest.mark.parametrize("step", [1, 17, STEPS])
def test_a_run_that_is_killed_in_a_step_resumes_from_the_step_before(
    store_folder, uninterrupted, tmp_path, step
):
    killed(store_folder, tmp_path, step)
    names = [f"step-{n:09d}.pt" for n in (step - 2, step - 1) if n > 0]
    assert [path.name for path in paths(tmp_path)] == names  # the last two are kept
    assert finish(store_folder, tmp_path) == uninterrupted
    resumed = f"{STEPS + 1 - step} steps (resumed after step {step - 1})"
    assert (resumed if step > 1 else f"{STEPS} steps, ") in logged(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_completes_its_step(store_folder, uninterrupted, tmp_path, number):
    process = start(store_folder, tmp_path, Signal(number, 8), 0, 1000)
    process.join(60)
    assert process.exitcode == 1
    assert "error: training stopped on request after step 8" in logged(tmp_path)
    assert paths(tmp_path)[-1].name == "step-000000008.pt"
    assert finish(store_folder, tmp_path) == uninterrupted


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_checkpoint_is_skipped_with_a_message(store_folder, uninterrupted, tmp_path, damage):
    killed(store_folder, tmp_path, 9)
    _, newer = paths(tmp_path)
    damage(newer)
    assert finish(store_folder, tmp_path) == uninterrupted
    assert f"{newer}: this checkpoint is damaged and is skipped" in logged(tmp_path)
    assert "(resumed after step 7)" in logged(tmp_path)


def test_without_a_complete_checkpoint_a_run_starts_anew(store_folder, uninterrupted, tmp_path):
    killed(store_folder, tmp_path, 9)
    for path in paths(tmp_path):
        cut(path)
    assert finish(store_folder, tmp_path) == uninterrupted
    assert f"test: {STEPS} steps, " in logged(tmp_path)


def test_a_full_disk_costs_checkpoints_but_neither_the_run_nor_the_last_good_one(
    store_folder, uninterrupted, tmp_path
):
    killed(store_folder, tmp_path, 9)
    before = {path: path.read_bytes() for path in paths(tmp_path)}
    process = start(store_folder, tmp_path, Signal(signal.SIGKILL, 10), 20_000)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert "this checkpoint cannot be written (File too large); the last good one stays" in logged(tmp_path)
    assert {path: path.read_bytes() for path in paths(tmp_path)} == before
    assert not list((tmp_path / "scratch").glob("*/*.tmp"))
    process = start(store_folder, tmp_path, None, 20_000)
    process.join(60)
    assert process.exitcode == 0
    assert outcome(tmp_path) == uninterrupted


def test_the_rest_of_an_interrupted_write_is_removed(tmp_path):
    folder = tmp_path / "abc"
    folder.mkdir()
    (folder / "step-000000007.tmp").write_bytes(b"half")
    with checkpoint_folder(tmp_path) as checkpoints:
        assert checkpoints.open("abc").latest() is None
        assert not list(folder.glob("*.tmp"))


def test_a_second_process_cannot_train_the_same_run(store_folder, tmp_path):
    killed(store_folder, tmp_path, 3)
    name = paths(tmp_path)[0].parent.name
    with checkpoint_folder(tmp_path / "scratch") as checkpoints:
        held = checkpoints.open(name)
        process = start(store_folder, tmp_path)
        process.join(60)
        assert process.exitcode == 1
        assert "one process at a time may train here" in logged(tmp_path)
        assert held.latest() is not None
        with pytest.raises(InputError, match=rf"{name}: one process at a time"):
            CheckpointFolder(tmp_path / "scratch").open(name)
        CheckpointFolder(tmp_path / "scratch").open("another")


def test_an_error_leaves_the_checkpoints_and_frees_the_lock(tmp_path):
    def fails() -> None:
        with checkpoint_folder(tmp_path) as checkpoints:
            checkpoints.open("abc").write(1, pack({"a": torch.ones(2)}))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with checkpoint_folder(tmp_path) as checkpoints:
        content = checkpoints.open("abc").latest()
        assert content is not None
        assert torch.equal(unpack(content)["a"], torch.ones(2))
    assert not (tmp_path / "abc").exists()


def test_checkpoints_are_due_after_the_set_time(tmp_path, monkeypatch):
    with checkpoint_folder(tmp_path) as checkpoints:
        run = checkpoints.open("abc")
        monkeypatch.setenv("STTREID_CHECKPOINT_SECONDS", "0.05")
        run.written = time.monotonic()
        assert not run.due()
        time.sleep(0.06)
        assert run.due()
        run.write(1, b"a")
        assert not run.due()
        monkeypatch.setenv("STTREID_CHECKPOINT_SECONDS", "soon")
        with pytest.raises(InputError, match="STTREID_CHECKPOINT_SECONDS must be a number, got 'soon'"):
            run.due()


def test_the_fingerprint_depends_on_settings_content_and_threads():
    settings: dict[str, object] = {"lr": 0.1, "steps": 3}
    prints = [
        fingerprint(settings, [b"a", b"b"]),
        fingerprint({**settings, "lr": 0.2}, [b"a", b"b"]),
        fingerprint(settings, [b"a"]),
        fingerprint(settings, [b"ab"]),
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    prints.append(fingerprint(settings, [b"a", b"b"]))
    torch.set_num_threads(threads)
    assert len(set(prints)) == len(prints)
    assert fingerprint(dict(reversed(settings.items())), [b"a", b"b"]) == prints[0]


def test_the_fingerprint_depends_on_the_code(monkeypatch, tmp_path):
    import sttreid.training.losses as module

    before = fingerprint({}, [])
    changed = tmp_path / "losses.py"
    changed.write_text(Path(module.__file__).read_text() + "\n")
    monkeypatch.setattr(module, "__file__", str(changed))
    assert fingerprint({}, []) != before


def test_only_tensors_and_plain_values_are_loaded():
    state = {"a": torch.arange(3), "rows": [{"loss": 0.1 + 0.2, "step": 1}], "nan": float("nan")}
    back = unpack(pack(state))
    assert back["rows"] == state["rows"]
    assert torch.equal(back["a"], torch.arange(3))
    assert np.isnan(back["nan"])
    with pytest.raises(Exception, match=r"Weights only load failed"):
        unpack(pack({"path": Path("x")}))


def test_the_two_newest_are_kept(tmp_path):
    with checkpoint_folder(tmp_path) as checkpoints:
        run: Checkpoints = checkpoints.open("abc")
        for step in (9, 10, 100):
            run.write(step, str(step).encode())
        assert [path.name for path in sorted(run.folder.glob("step-*"))] == [
            "step-000000010.pt",
            "step-000000100.pt",
        ]
        assert run.latest() == b"100"


def test_a_checkpoint_that_is_no_file_is_skipped(tmp_path):
    with checkpoint_folder(tmp_path) as checkpoints:
        run = checkpoints.open("abc")
        run.write(1, b"good")
        (run.folder / "step-000000002.pt").symlink_to("/dev/zero")  # which has no end
        (run.folder / "step-000000003.pt").mkdir()
        assert run.latest() == b"good"
