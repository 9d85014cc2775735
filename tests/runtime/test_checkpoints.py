"""Killed, starved and damaged training runs end with the bytes of an undisturbed one."""

import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sttreid.config.conversion import dump
from sttreid.runtime.checkpoints import Checkpoints, Scratch, fingerprint, kept, pack, unpack
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store
from tests.sections import small_network
from tests.training.runs import RECIPE, STEPS, Signal, outcome, start


@pytest.fixture(scope="module")
def undisturbed(store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """What a run gives that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(store_folder, folder)
    process.join(60)
    assert process.exitcode == 0, said(folder)
    assert not list((folder / "scratch").glob("*/"))
    return outcome(folder)


def said(folder: Path) -> str:
    return (folder / "said.txt").read_text()


def finish(store: Path, folder: Path) -> tuple[bytes, bytes]:
    process = start(store, folder)
    process.join(60)
    assert process.exitcode == 0, said(folder)
    return outcome(folder)


def killed(store: Path, folder: Path, step: int) -> None:
    """A run that is killed in the middle of one of its steps."""
    process = start(store, folder, Signal(signal.SIGKILL, step))
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def paths(folder: Path) -> list[Path]:
    return sorted((folder / "scratch").glob("*/step-*.pt"))


def test_two_runs_give_the_same_bytes(store_folder, undisturbed, tmp_path):
    assert finish(store_folder, tmp_path) == undisturbed


def last_step(folder: Path) -> int:
    return max((int(path.stem.removeprefix("step-")) for path in paths(folder)), default=0)


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(store_folder, undisturbed, tmp_path):
    """Signals come from outside at random: in a step, in a checkpoint, before the first, near the end."""
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
        assert outcome(folder) == undisturbed
        assert not paths(folder)
    assert kills >= 6  # 24 steps, at most seven of them at a time


@pytest.mark.parametrize("step", [1, 17, STEPS])
def test_a_run_that_is_killed_in_a_step_goes_on_from_the_step_before(
    store_folder, undisturbed, tmp_path, step
):
    killed(store_folder, tmp_path, step)
    names = [f"step-{n:09d}.pt" for n in (step - 2, step - 1) if n > 0]
    assert [path.name for path in paths(tmp_path)] == names  # the last two are kept
    assert finish(store_folder, tmp_path) == undisturbed
    again = f"{STEPS + 1 - step} steps after {step - 1} that were kept" if step > 1 else f"{STEPS} steps, "
    assert again in said(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_end_keeps_the_step_it_is_in(store_folder, undisturbed, tmp_path, number):
    process = start(store_folder, tmp_path, Signal(number, 8), 0, 1000)
    process.join(60)
    assert process.exitcode == 1
    assert "error: asked to end behind step 8 (test: 8 steps" in said(tmp_path)
    assert [path.name for path in paths(tmp_path)] == ["step-000000008.pt"]
    assert finish(store_folder, tmp_path) == undisturbed


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_checkpoint_is_skipped_with_a_message(store_folder, undisturbed, tmp_path, damage):
    killed(store_folder, tmp_path, 9)
    _, newer = paths(tmp_path)
    damage(newer)
    assert finish(store_folder, tmp_path) == undisturbed
    assert f"{newer}: this checkpoint is damaged and is skipped" in said(tmp_path)
    assert "after 7 that were kept" in said(tmp_path)


def test_without_a_whole_checkpoint_a_run_begins_anew(store_folder, undisturbed, tmp_path):
    killed(store_folder, tmp_path, 9)
    for path in paths(tmp_path):
        cut(path)
    assert finish(store_folder, tmp_path) == undisturbed
    assert f"test: {STEPS} steps, " in said(tmp_path)


def test_a_full_disk_costs_checkpoints_but_neither_the_run_nor_the_last_good_one(
    store_folder, undisturbed, tmp_path
):
    killed(store_folder, tmp_path, 9)
    before = {path: path.read_bytes() for path in paths(tmp_path)}
    process = start(store_folder, tmp_path, Signal(signal.SIGKILL, 10), 20_000)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert "this checkpoint cannot be written (File too large); the last good one stays" in said(tmp_path)
    assert {path: path.read_bytes() for path in paths(tmp_path)} == before
    assert not list((tmp_path / "scratch").glob("*/*.tmp"))
    process = start(store_folder, tmp_path, None, 20_000)
    process.join(60)
    assert process.exitcode == 0
    assert outcome(tmp_path) == undisturbed


def test_what_a_kill_in_the_middle_of_a_write_leaves_is_removed(tmp_path):
    folder = tmp_path / "abc"
    folder.mkdir()
    (folder / "step-000000007.tmp").write_bytes(b"half")
    with kept(tmp_path) as scratch:
        assert scratch.open("abc").latest() is None
        assert not list(folder.glob("*.tmp"))


def test_a_second_trainer_of_the_same_run_ends_with_a_sentence(store_folder, tmp_path):
    killed(store_folder, tmp_path, 3)
    name = paths(tmp_path)[0].parent.name
    with kept(tmp_path / "scratch") as scratch:
        held = scratch.open(name)
        process = start(store_folder, tmp_path)
        process.join(60)
        assert process.exitcode == 1
        assert "one process at a time may train here" in said(tmp_path)
        assert held.latest() is not None
        with pytest.raises(InputError, match=rf"{name}: one process at a time"):
            Scratch(tmp_path / "scratch").open(name)
        Scratch(tmp_path / "scratch").open("another")


def test_an_error_leaves_the_checkpoints_and_frees_the_lock(tmp_path):
    def fails() -> None:
        with kept(tmp_path) as scratch:
            scratch.open("abc").write(1, pack({"a": torch.ones(2)}))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with kept(tmp_path) as scratch:
        content = scratch.open("abc").latest()
        assert content is not None
        assert torch.equal(unpack(content)["a"], torch.ones(2))
    assert not (tmp_path / "abc").exists()


def test_checkpoints_are_due_after_the_machine_s_seconds(tmp_path, monkeypatch):
    with kept(tmp_path) as scratch:
        run = scratch.open("abc")
        monkeypatch.setenv("STTREID_CHECKPOINT_SECONDS", "0.05")
        run.tried = time.monotonic()
        assert not run.due()
        time.sleep(0.06)
        assert run.due()
        run.write(1, b"a")
        assert not run.due()
        monkeypatch.setenv("STTREID_CHECKPOINT_SECONDS", "soon")
        with pytest.raises(InputError, match="STTREID_CHECKPOINT_SECONDS must be a number, got 'soon'"):
            run.due()


def settings(**changes: object) -> dict[str, object]:
    return {part: dump(value) for part, value in vars(replace(RECIPE, **changes)).items()}


def test_the_fingerprint_sees_parameters_weights_pixels_index_and_threads(store: Store):
    network = small_network()
    recipe = settings()
    pixels = store.frames.copy()
    pixels[len(pixels) - 1, 0, 0, 0] ^= 1
    other = store.index.assign(camera=store.index["camera"] + 1)
    prints = [
        fingerprint(network, store, seed=0, **recipe),
        fingerprint(network, store, seed=1, **recipe),
        fingerprint(network, store, seed=0, **settings(schedule=replace(RECIPE.schedule, lr=0.02))),
        fingerprint(network, store, seed=0, **settings(loss=replace(RECIPE.loss, margin=0.2))),
        fingerprint(small_network(1), store, seed=0, **recipe),
        fingerprint(network, Store(pixels, store.index, store.tracklets), seed=0, **recipe),
        fingerprint(network, Store(store.frames, other, store.tracklets), seed=0, **recipe),
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    prints.append(fingerprint(network, store, seed=0, **recipe))
    torch.set_num_threads(threads)
    assert len(set(prints)) == len(prints)
    assert fingerprint(small_network(), store, seed=0, **recipe) == prints[0]


def test_the_fingerprint_sees_the_code(store: Store, monkeypatch, tmp_path):
    import sttreid.training.losses as module

    before = fingerprint(small_network(), store)
    changed = tmp_path / "losses.py"
    changed.write_text(Path(module.__file__).read_text() + "\n")
    monkeypatch.setattr(module, "__file__", str(changed))
    assert fingerprint(small_network(), store) != before


def test_only_tensors_and_plain_values_come_back():
    state = {"a": torch.arange(3), "rows": [{"loss": 0.1 + 0.2, "step": 1}], "nan": float("nan")}
    back = unpack(pack(state))
    assert back["rows"] == state["rows"]
    assert torch.equal(back["a"], torch.arange(3))
    assert np.isnan(back["nan"])
    with pytest.raises(Exception, match=r"Weights only load failed"):
        unpack(pack({"path": Path("x")}))


def test_the_two_newest_are_kept(tmp_path):
    with kept(tmp_path) as scratch:
        run: Checkpoints = scratch.open("abc")
        for step in (9, 10, 100):
            run.write(step, str(step).encode())
        assert [path.name for path in sorted(run.folder.glob("step-*"))] == [
            "step-000000010.pt",
            "step-000000100.pt",
        ]
        assert run.latest() == b"100"
