"""Batches: what a step shows is a function of seed, step and tracklets."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.config.params import Augment, Batch
from sttreid.runtime.errors import InputError
from sttreid.tracklets.batches import BatchReader, batch, plan, repeated, shard, steps_per_epoch
from sttreid.tracklets.clips import MEAN, STD
from sttreid.tracklets.store import Store, write_store

CAMERAS = {
    4: [1, 2, 3],
    9: [1, 2],
    2: [5, 6],
    30: [1, 2, 3, 4, 5],
    7: [2, 2, 2, 8],
}  # identity -> cameras of its tracklets


def table(cameras: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(identity, camera) for identity in cameras for camera in cameras[identity]]
    split = pd.DataFrame(rows, columns=["identity", "camera"], dtype=np.int32)
    return split.assign(tracklet=range(100, 100 + len(rows)), start=0, length=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose frame r is plain grey of level r; tracklets of 5, 6, 7 and 3 frames in turn."""
    rows: list[tuple[int, int, int, int, str, float]] = []
    for identity, cameras in sorted(CAMERAS.items()):
        for camera in cameras:
            tracklet = rows[-1][0] + 1 if rows else 0
            length = (5, 6, 7, 3)[tracklet % 4]
            rows += [(tracklet, identity, camera, frame, "train", 1.0) for frame in range(1, length + 1)]
    index = pd.DataFrame(rows, columns=["tracklet", "identity", "camera", "frame", "split", "visibility"])
    crops = ((row, np.full((8, 4, 3), row, np.uint8)) for row in range(len(index)))
    return write_store(tmp_path / "store", index, crops, 8, 4)


def levels(clips: torch.Tensor) -> torch.Tensor:
    """The grey levels [B, T] of clips of plain frames."""
    return (clips[:, :, 0, 0, 0] * float(STD[0]) + float(MEAN[0])).mul(255).round().int()


splits = st.dictionaries(
    st.integers(0, 99), st.lists(st.integers(1, 6), min_size=1, max_size=7), min_size=2, max_size=12
)


@settings(deadline=None)
@given(splits, st.data())
def test_a_step_has_p_identities_with_k_adjacent_tracklets(
    cameras: dict[int, list[int]], data: st.DataObject
) -> None:
    identities = data.draw(st.integers(2, len(cameras)))
    clips, seed, step = (data.draw(st.integers(low, 9)) for low in (1, 0, 0))
    split = table(cameras)
    rows = plan(split, identities, clips, seed, step)
    assert rows.shape == (identities * clips,)
    assert rows.dtype == np.int64
    owners = split["identity"].to_numpy()[rows].reshape(identities, clips)
    assert (owners == owners[:, :1]).all()
    assert len(set(owners[:, 0])) == identities
    for identity, chosen in zip(owners[:, 0], rows.reshape(identities, clips), strict=True):
        seen = Counter(split["camera"].to_numpy()[chosen])
        assert len(seen) == min(clips, len(set(cameras[identity])))  # as many cameras as there can be
        times = Counter(chosen.tolist())
        missing = len(cameras[identity]) - len(times)
        assert max(times.values()) - (0 if missing else min(times.values())) <= 1  # repeated only in turn


@settings(deadline=None)
@given(splits, st.integers(2, 5), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_shows_an_identity_at_most_once(
    cameras: dict[int, list[int]], identities: int, seed: int, epoch: int
) -> None:
    split = table(cameras)
    if len(cameras) < identities:
        return
    steps = steps_per_epoch(split, identities)
    assert steps == len(cameras) // identities
    rows = [plan(split, identities, 1, seed, epoch * steps + step) for step in range(steps)]
    shown = split["identity"].to_numpy()[np.concatenate(rows)]
    assert len(set(shown)) == len(shown) == steps * identities


def test_every_identity_and_every_tracklet_is_shown_in_the_long_run() -> None:
    split = table(CAMERAS)
    rows = np.concatenate([plan(split, 2, 2, 0, step) for step in range(400)])
    shown = np.bincount(rows, minlength=len(split))
    assert (shown > 0).all()
    per_identity = np.bincount(split["identity"].to_numpy()[rows])[sorted(CAMERAS)]
    assert np.abs(per_identity / 320 - 1).max() < 0.15  # 400 steps x 2 identities x 2 clips over 5 identities
    one_camera = shown[(split["identity"] == 30).to_numpy()]
    assert one_camera.max() / one_camera.min() < 1.4


def test_steps_and_seeds_give_different_plans_and_nothing_else_does() -> None:
    split = table(CAMERAS)
    plans = {(seed, step): tuple(plan(split, 3, 2, seed, step)) for seed in range(4) for step in range(6)}
    assert len(set(plans.values())) > 20
    assert all(tuple(plan(split, 3, 2, *key)) == rows for key, rows in reversed(plans.items()))


def test_a_table_of_other_rows_order_gives_the_same_identities() -> None:
    split = table(CAMERAS)
    turned = split.iloc[::-1].reset_index(drop=True)
    for step in range(5):
        ours, theirs = (part["identity"].to_numpy()[plan(part, 3, 2, 0, step)] for part in (split, turned))
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("identities", "clips", "words"),
    [
        (1, 2, "a batch must hold at least 2 identities, got 1"),
        (6, 2, "the split must hold at least the batch's 6 identities, got 5"),
        (2, 0, "a batch must hold at least 1 clip of an identity, got 0"),
    ],
)
def test_a_batch_that_cannot_be_filled_is_refused(identities: int, clips: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan(table(CAMERAS), identities, clips, 0, 0)


def test_processes_share_a_batch_by_identities() -> None:
    rows = list(range(12 * 2))
    shards = [rows[shard(12, 2, rank, 3)] for rank in range(3)]
    assert [row for part in shards for row in part] == rows
    assert {len(part) for part in shards} == {8}
    with pytest.raises(InputError, match=r"batch\.identities must be a multiple of the 5 processes, got 12"):
        shard(12, 2, 0, 5)


def test_a_batch_has_the_shapes_and_types_of_its_parts(store: Store, lively: Augment) -> None:
    split = store.of_split("train")
    made = batch(store, split, plan(split, 3, 2, 0, 0), 4, lively, 0, 0)
    assert (made.clips.shape, made.clips.dtype) == ((6, 4, 3, 8, 4), torch.float32)
    for part in (made.classes, made.tracklets, made.cameras):
        assert (part.shape, part.dtype) == ((6,), torch.int64)


def test_labels_are_those_of_the_rows(store: Store, still: Augment) -> None:
    split = store.of_split("train")
    rows = plan(split, 5, 3, 1, 2)
    made = batch(store, split, rows, 2, still, 1, 2)
    ascending = sorted(CAMERAS)
    assert made.classes.tolist() == [ascending.index(identity) for identity in split["identity"][rows]]
    assert made.tracklets.tolist() == split["tracklet"][rows].tolist()
    assert made.cameras.tolist() == split["camera"][rows].tolist()


def test_clips_show_ascending_frames_of_their_own_tracklets(store: Store, still: Augment) -> None:
    split = store.of_split("train")
    rows = np.arange(len(split))
    shown = levels(batch(store, split, rows, 4, still, 0, 0).clips)
    for start, length, clip in zip(split["start"], split["length"], shown.tolist(), strict=True):
        assert all(start <= level < start + length for level in clip)
        assert clip == sorted(clip)
        assert len(set(clip)) == min(4, length)


def test_a_batch_depends_on_seed_step_and_tracklets_only(store: Store, lively: Augment) -> None:
    split = store.of_split("train")
    rows = plan(split, 4, 3, 0, 7)
    first = batch(store, split, rows, 4, lively, 0, 7).clips
    batch(store, split, rows, 4, lively, 0, 8)
    assert torch.equal(batch(store, split, rows, 4, lively, 0, 7).clips, first)
    assert torch.equal(batch(store, split, rows[3:6], 4, lively, 0, 7).clips, first[3:6])
    assert not torch.equal(batch(store, split, rows, 4, lively, 0, 8).clips, first)
    assert not torch.equal(batch(store, split, rows, 4, lively, 1, 7).clips, first)


def test_a_repeated_tracklet_is_drawn_anew(store: Store, lively: Augment) -> None:
    split = store.of_split("train")
    clips = batch(store, split, np.array([1, 1, 1]), 4, lively, 0, 0).clips
    assert not torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[1], clips[2])


def test_clips_do_not_share_their_augmentation(store: Store, still: Augment) -> None:
    split = store.of_split("train")
    dimmed = batch(store, split, np.arange(12), 1, replace(still, white_balance=0.5), 0, 0).clips[
        :, 0, :, 0, 0
    ]
    ratios = dimmed * torch.from_numpy(STD) + torch.from_numpy(MEAN)
    balance = ratios[4:, 0] / ratios[4:, 2]
    assert len({round(value, 3) for value in balance.tolist()}) == 8


def copies(reader: BatchReader, *arguments: int) -> list[tuple[torch.Tensor, ...]]:
    """All batches; their clips lie in buffers that the next ones overwrite."""
    return [
        (made.clips.clone(), made.classes, made.tracklets, made.cameras) for made in reader.steps(*arguments)
    ]


def equal(first: list[tuple[torch.Tensor, ...]], second: list[tuple[torch.Tensor, ...]]) -> bool:
    pairs = zip(sum(first, ()), sum(second, ()), strict=True)
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def reader(store: Store, lively: Augment) -> BatchReader:
    return BatchReader(
        store, store.of_split("train"), Batch(identities=4, clips=3), slice(None), 4, lively, 5
    )


def test_a_reader_gives_the_batches_of_its_steps(reader: BatchReader) -> None:
    for step, made in enumerate(copies(reader, 0, 5, 0)):
        rows = plan(reader.tracklets, 4, 3, 5, step)
        expected = batch(reader.store, reader.tracklets, rows, 4, reader.augment, 5, step)
        assert equal([made], [(expected.clips, expected.classes, expected.tracklets, expected.cameras)])


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_no_batch(reader: BatchReader, workers: int) -> None:
    assert equal(copies(reader, 0, 6, workers), copies(reader, 0, 6, 0))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_reader_may_begin_anywhere(reader: BatchReader, workers: int) -> None:
    whole = copies(reader, 0, 7, 0)
    assert equal(copies(reader, 3, 7, workers), whole[3:])
    assert copies(reader, 7, 7, workers) == []


def test_shards_make_up_the_whole_batch(reader: BatchReader) -> None:
    """A tracklet that is repeated belongs to one identity, and so to one shard."""
    halves = [copies(replace(reader, shard=part), 0, 4, 0) for part in (slice(0, 6), slice(6, 12))]
    joined = [
        tuple(torch.cat(parts) for parts in zip(*both, strict=True)) for both in zip(*halves, strict=True)
    ]
    assert equal(joined, copies(reader, 0, 4, 0))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_while_reading_reaches_the_caller(reader: BatchReader, workers: int) -> None:
    lost = replace(reader, store=Store(reader.store.frames[:3], reader.store.index, reader.store.tracklets))
    with pytest.raises(IndexError):
        copies(lost, 0, 3, workers)


def test_a_batch_stays_whole_while_the_next_one_is_read(reader: BatchReader) -> None:
    batches = reader.steps(0, 4, 2)
    first = next(batches)
    before = first.clips.clone()
    time.sleep(0.05)  # long enough for the thread to fill the other buffer
    assert torch.equal(first.clips, before)
    batches.close()


@settings(deadline=None)
@given(splits, st.integers(1, 6))
def test_identities_with_too_few_tracklets_are_counted(cameras: dict[int, list[int]], clips: int) -> None:
    assert repeated(table(cameras), clips) == sum(len(tracklets) < clips for tracklets in cameras.values())
