"""Attention of each frame and patch is what the transformers' own weights say, clip by clip."""

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.pictures.attention import occluded, spatial, temporal
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store
from tests.sections import FRAMES, HEIGHT, WIDTH, small_network

LENGTHS = (7, 1, 3)


@pytest.fixture
def store():
    """Three tracklets of noise; the person of the first goes out of sight in its second clip."""
    frames = np.random.default_rng(0).integers(0, 256, (sum(LENGTHS), HEIGHT, WIDTH, 3), dtype=np.uint8)
    numbers = np.arange(len(LENGTHS))
    tracklets = pd.DataFrame(
        {
            "tracklet": numbers,
            "identity": 5 + numbers,
            "camera": 1,
            "split": "test",
            "start": np.cumsum((0, *LENGTHS[:-1])),
            "length": LENGTHS,
        }
    )
    visibility = [1, 1, 1, 1, 0.5, 0.2, 1, 1, 0.9, 0.8, 0.9]
    return Store(frames, pd.DataFrame({"visibility": visibility}), tracklets)


def clips_of(store, start, length):
    where = consecutive_clips(length, FRAMES)
    out = torch.empty((len(where), FRAMES, 3, HEIGHT, WIDTH))
    for slot, places in enumerate(where):
        normalise(store.frames[start + places], out[slot].numpy())
    return where, out


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_frames_have_the_weights_of_the_temporal_token(store, batch):
    network = small_network().eval()
    table = temporal(network, store, store.tracklets, batch)
    assert len(table) == sum(LENGTHS)
    for row, start, length in zip(range(3), (0, 7, 8), LENGTHS, strict=True):
        where, clips = clips_of(store, start, length)
        with torch.inference_mode():
            attention = network(clips, "first").branches["stt"].attention.mean(1)  # [C, heads, 1 + T]
        for clip, places in enumerate(where):
            rows = table[(table["tracklet"] == row) & (table["clip"] == clip)]
            assert rows["place"].tolist() == sorted(set(places))
            for one in rows.itertuples():
                expected = attention[clip, :, 1:][:, places == one.place].sum(1)
                assert one.heads == pytest.approx(expected.tolist(), abs=1e-6)
                assert one.weight == pytest.approx(float(expected.mean()), abs=1e-6)
                assert one.times == (places == one.place).sum()
                assert one.visibility == store.index["visibility"][start + one.place]


def test_the_weights_of_a_clip_and_its_token_sum_to_one(store):
    table = temporal(small_network(), store, store.tracklets, 4)
    sums = table.groupby(["tracklet", "clip"]).agg({"weight": "sum", "token": "first", "entropy": "first"})
    assert (sums["weight"] + sums["token"]).to_numpy() == pytest.approx(1)
    assert sums["entropy"].between(0, np.log(1 + FRAMES)).all()


@pytest.mark.parametrize("batch", [1, 50])
def test_patches_have_the_weights_of_the_spatial_token(store, batch):
    network = small_network().eval()
    table = spatial(network, store, store.tracklets.iloc[[0]], batch)
    rows, columns = network.map_size
    assert len(table) == 7 * rows * columns
    _, clips = clips_of(store, 0, 7)
    seen = []
    hook = (
        network.branches["stt"]
        .spatial.transformer.layers[0]
        .attention.register_forward_pre_hook(lambda module, given: seen.append((module, given[0])))
    )
    with torch.inference_mode():
        network(clips)
        hook.remove()
        module, x = seen[0]
        _, weights = module(x, "all")
    expected = weights[:, :, 0, 1:].mean(1).view(-1, rows, columns)  # of the one layer of ST
    for place in range(6):  # the last clip repeats frame 6
        own = table[table["place"] == place]
        got = own.sort_values(["row", "column"])["weight"].to_numpy().reshape(rows, columns)
        np.testing.assert_allclose(got, expected[place].numpy(), atol=1e-6)


def test_a_network_keeps_no_hook(store):
    network = small_network()
    temporal(network, store, store.tracklets, 4)
    assert not network.branches["stt"].temporal._forward_hooks
    assert not network.branches["stt"].temporal._forward_pre_hooks


def test_a_network_without_transformers_is_refused(store):
    with pytest.raises(InputError, match=r"model\.stt only"):
        temporal(small_network(stt=False, gt=False), store, store.tracklets, 4)


def test_tracklets_are_chosen_by_the_change_within_a_clip():
    rows = [
        (1, 10, 0, 1.0), (1, 10, 0, 0.9), (1, 10, 1, 0.3),  # wide over the tracklet, not within a clip
        (1, 11, 0, 1.0), (1, 11, 0, 0.4),
        (2, 20, 0, 1.0), (2, 20, 0, 0.2),
        (2, 21, 0, 1.0), (2, 21, 0, 0.3),  # the same person as 20
        (3, 30, 0, np.nan), (3, 30, 0, np.nan),
    ]  # fmt: skip
    frames = pd.DataFrame(rows, columns=["identity", "tracklet", "clip", "visibility"])
    assert occluded(frames, 2) == [20, 11]
    assert occluded(frames, 9) == [20, 11, 30]
