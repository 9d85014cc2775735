"""A tracklet's feature covers all its frames, whatever else is in its batches."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.embedding import embed, embed_tracklets, encoder
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store
from tests.sections import HEIGHT, WIDTH, small_clips, small_network

LENGTHS = (5, 1, 12, 4, 8)


@pytest.fixture
def store():
    """Five tracklets of noise."""
    frames = np.random.default_rng(0).integers(0, 256, (sum(LENGTHS), 8, 4, 3), dtype=np.uint8)
    return Store(frames=frames, index=pd.DataFrame(), tracklets=tracklets())


def tracklets():
    starts = np.cumsum((0, *LENGTHS[:-1]))
    numbers = np.arange(len(LENGTHS))
    columns = {"tracklet": numbers, "identity": 10 + numbers, "camera": 1 + numbers % 2, "start": starts}
    return pd.DataFrame({**columns, "split": "test", "length": LENGTHS})


def encode(clips):
    """A float64 feature that depends on every pixel and on the order of the frames.

    Its products sum hundreds of numbers: in float32 their rounding errors would exceed those of the mean over
    clips, which is what is tested.
    """
    weights = torch.linspace(-1, 1, 6 * clips[0].numel(), dtype=torch.float64).reshape(-1, 6).sin()
    return torch.tanh(clips.double().flatten(1) @ weights / 20)


def naive(store, rows, frames):
    """Clip by clip, one at a time."""
    out = []
    for start, length in zip(rows["start"], rows["length"], strict=True):
        parts = []
        for clip_frames in consecutive_clips(length, frames):
            clip = np.empty((frames, 3, 8, 4), np.float32)
            normalise(store.frames[start + clip_frames], clip)
            parts.append(encode(torch.from_numpy(clip)[None])[0])
        mean = torch.stack(parts).mean(0)
        out.append(mean / mean.norm())
    return torch.stack(out)


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("frames", [1, 4, 6])
def test_features_are_means_over_clips_whatever_the_batch(store, batch, frames):
    features = embed(encode, store, store.tracklets, frames, batch)
    torch.testing.assert_close(features, naive(store, store.tracklets, frames).float(), rtol=0, atol=1e-6)


def test_rows_follow_the_given_table(store):
    whole = embed(encode, store, store.tracklets, 4, 8)
    chosen = embed(encode, store, store.tracklets.iloc[[3, 0]], 4, 8)
    torch.testing.assert_close(chosen, whole[[3, 0]], rtol=0, atol=1e-6)


def test_features_have_length_one_and_no_gradient(store):
    network = torch.nn.Linear(4 * 3 * 8 * 4, 5)
    features = embed(lambda clips: network(clips.flatten(1)), store, store.tracklets, 4, 2)
    assert (features.dtype, features.shape, features.requires_grad) == (torch.float32, (5, 5), False)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(5))


class Encoder(torch.nn.Module):
    """The part of a network that embedding uses."""

    frames = 4

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4 * 3 * 8 * 4, 5)
        self.drop = torch.nn.Dropout(0.9)

    def encode(self, clips):
        assert clips.shape[1:] == (4, 3, 8, 4)
        return self.drop(self.layer(clips.flatten(1)))


def test_a_network_is_embedded_in_evaluation_mode_with_its_own_clip_length(store):
    network = Encoder().train()
    features = embed_tracklets(network, store, store.tracklets, 3)
    expected = embed(lambda clips: network.layer(clips.flatten(1)), store, store.tracklets, 4, 3)
    torch.testing.assert_close(features, expected)


def test_a_network_is_embedded_without_tensor_float(store):
    seen = []

    class Spy(Encoder):
        def encode(self, clips):
            seen.append(torch.backends.cudnn.conv.fp32_precision)
            return super().encode(clips)

    before = torch.backends.cudnn.conv.fp32_precision
    embed_tracklets(Spy(), store, store.tracklets, 3)
    assert set(seen) == {"ieee"}
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_every_frame_is_seen(store):
    seen = []

    def record(clips):
        seen.append(clips[:, :, 0, 0, 0].flatten().clone())
        return clips.flatten(1)[:, :3] + 9

    embed(record, store, store.tracklets, 4, 3)
    expected = np.empty((len(store.frames), 3, 8, 4), np.float32)
    normalise(store.frames, expected)
    assert set(expected[:, 0, 0, 0].tolist()) == set(torch.cat(seen).tolist())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_feature_that_is_not_finite_is_refused_with_its_tracklet(store, value):
    marked = store.frames[store.tracklets["start"][2]].copy()

    def fail(clips):
        reference = np.empty((1, 3, 8, 4), np.float32)
        normalise(marked[None], reference)
        hit = (clips[:, 0] == torch.from_numpy(reference[0])).flatten(1).all(1)
        return torch.where(hit[:, None], value, 1.0).expand(-1, 4)

    with pytest.raises(InputError, match=r"tracklet 2 \(identity 12, camera 1\): its feature must be finite"):
        embed(fail, store, store.tracklets, 4, 2)


def test_a_feature_of_zeros_is_refused(store):
    with pytest.raises(InputError, match=r"tracklet 2 \(identity 12, camera 1\).*not all zero"):
        embed(lambda clips: torch.zeros(len(clips), 3), store, store.tracklets, 4, 8)


def test_a_real_network_embeds_a_batch_as_one_by_one():
    lengths = (7, 3, 20, 1, 9, 3)
    frames = np.random.default_rng(4).integers(0, 256, (sum(lengths), HEIGHT, WIDTH, 3), dtype=np.uint8)
    columns = {"identity": 1, "camera": 1, "split": "test", "length": lengths}
    table = pd.DataFrame({"tracklet": range(6), "start": np.cumsum((0, *lengths[:-1])), **columns})
    store = Store(frames=frames, index=pd.DataFrame(), tracklets=table)
    network = small_network()
    alone = torch.cat([embed_tracklets(network, store, table.iloc[[row]], 1) for row in range(6)])
    for batch in (2, 5, 64):
        together = embed_tracklets(network, store, table, batch)
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)  # float32, other kernels
    torch.testing.assert_close(embed_tracklets(network, store, table, 64, "bf16"), together, rtol=0, atol=0)


def test_the_longest_tracklets_come_first_and_share_batches(store):
    seen = []

    def record(clips):
        seen.append(clips[:, 0].flatten(1).clone())
        return clips.flatten(1)[:, :3] + 9

    embed(record, store, store.tracklets, 4, 3)
    assert [len(clips) for clips in seen] == [3, 3, 3]  # 3 + 2 + 2 + 1 + 1 clips
    order = sorted(range(5), key=lambda row: -LENGTHS[row])
    starts = [store.tracklets["start"][row] + 4 * k for row in order for k in range(-(-LENGTHS[row] // 4))]
    expected = np.empty((9, 3, 8, 4), np.float32)
    normalise(store.frames[starts], expected)
    np.testing.assert_array_equal(torch.cat(seen), expected.reshape(9, -1))


def test_an_empty_table_is_refused(store):
    with pytest.raises(InputError, match="at least 1 tracklet"):
        embed(encode, store, store.tracklets.iloc[:0], 4, 8)


def of_one_tracklet(values, batch):
    """The feature of a tracklet whose clips, of one frame each, have these features."""
    length = len(values)
    columns = {"tracklet": [7], "identity": [3], "camera": [2], "start": [0], "length": [length]}
    frames = np.zeros((length, 2, 2, 3), np.uint8)
    left = iter(torch.tensor(values))
    encoded = Store(frames=frames, index=pd.DataFrame(), tracklets=pd.DataFrame(columns))
    return embed(
        lambda clips: torch.stack([next(left) for _ in clips]), encoded, encoded.tracklets, 1, batch
    ).tolist()


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize(
    "values",
    [
        [[3.0, 4.0], [-3.0, -4.0]],
        [[0.1, 0.2], [0.3, -0.7], [-0.4, 0.5]],  # their sum is rounding error only
        [[0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_a_tracklet_whose_clips_cancel_is_refused_by_name(values, batch):
    rule = r"tracklet 7 \(identity 3, camera 2\): its feature must be .*nor may those of its clips cancel"
    with pytest.raises(InputError, match=rule):
        of_one_tracklet(values, batch)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_part_of_a_tracklet_may_cancel(batch):
    assert of_one_tracklet([[0.0, 0.0], [5.0, 1.0], [-5.0, -1.0], [0.0, 2.0]], batch) == [[0.0, 1.0]]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_clips_weigh_by_the_lengths_of_their_features_whatever_the_scale(scale):
    (feature,) = of_one_tracklet([[3 * scale, 0.0], [0.0, 4 * scale]], 1)
    assert feature == pytest.approx([0.6, 0.8])


def test_memory_does_not_grow_with_the_length_of_a_tracklet():
    length, frames = 2_000_000, 2000
    columns = {"tracklet": [0], "identity": [1], "camera": [1], "start": [0], "length": [length]}
    images = np.broadcast_to(np.uint8(9), (length, 1, 1, 3))
    long = Store(frames=images, index=pd.DataFrame(), tracklets=pd.DataFrame(columns))
    tracemalloc.start()
    try:
        embed(lambda clips: clips[:, 0, :, 0, 0], long, long.tracklets, frames, 4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6  # a number per frame would take 16 MB


def test_a_feature_is_the_mean_of_a_clip_and_its_mirror_image():
    network, clips = small_network(), small_clips()
    with torch.inference_mode():
        features = encoder(network, flip=True)(clips)
        plain = encoder(network, flip=False)
        ways = [network.eval().encode(clips), network.encode(torch.flip(clips, (4,)))]
        assert torch.equal(plain(clips), ways[0])
    assert not torch.allclose(*ways, atol=1e-3)
    torch.testing.assert_close(features / 2, (ways[0] + ways[1]) / 2)


def test_a_tracklet_and_its_mirror_image_have_one_feature():
    network = small_network().train()
    frames = np.random.default_rng(1).integers(0, 256, (sum(LENGTHS), HEIGHT, WIDTH, 3), dtype=np.uint8)
    store = Store(frames=frames, index=pd.DataFrame(), tracklets=tracklets())
    mirrored = replace(store, frames=np.ascontiguousarray(frames[:, :, ::-1]))
    here, there = (
        embed_tracklets(network, each, store.tracklets, 3, flip=True) for each in (store, mirrored)
    )
    assert not network.training
    torch.testing.assert_close(here, there, rtol=0, atol=1e-5)
    plain = embed_tracklets(network, mirrored, store.tracklets, 3)
    assert not torch.allclose(here, plain, atol=1e-3)
    torch.testing.assert_close(here, torch.nn.functional.normalize(here, dim=1))
