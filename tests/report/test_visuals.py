"""Attention is what the transformers' own weights are; maps and strips are exact."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sttreid.report import visuals
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store
from tests.sections import FRAMES, HEIGHT, WIDTH, small_network

LENGTHS = (7, 1, 3)
QUERIES = pd.DataFrame(
    {
        "query": [5, 4, 3, 2, 1, 6, 7],
        "identity": [1, 1, 2, 3, 3, 4, 4],
        "ap": [0.1, 0.05, 0.5, 0.3, np.nan, 0.9, 0.8],
        "first_hit": [2, 3, 1, 4, 0, 1, 1],
    }
)


@pytest.fixture
def store():
    """Three tracklets of noise; the first is occluded in its second clip."""
    frames = np.random.default_rng(0).integers(0, 256, (sum(LENGTHS), HEIGHT, WIDTH, 3), dtype=np.uint8)
    columns = {"tracklet": range(3), "identity": range(5, 8), "start": [0, 7, 8], "length": LENGTHS}
    tracklets = pd.DataFrame(columns).assign(camera=1, split="test")
    visibility = [1, 1, 1, 1, 0.5, 0.2, 1, 1, 0.9, 0.8, 0.9]
    return Store(frames, pd.DataFrame({"visibility": visibility}), tracklets)


def clips_of(store, start, length):
    where = consecutive_clips(length, FRAMES)
    clips = torch.empty((len(where), FRAMES, 3, HEIGHT, WIDTH))
    for clip, places in zip(clips, where, strict=True):
        normalise(store.frames[start + places], clip.numpy())
    return where, clips


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_frames_have_the_weights_of_the_temporal_token(store, batch):
    network = small_network().eval()
    table = visuals.temporal_attention(network, store, store.tracklets, batch)
    assert len(table) == sum(LENGTHS)
    for row, start, length in zip(range(3), (0, 7, 8), LENGTHS, strict=True):
        where, clips = clips_of(store, start, length)
        with torch.inference_mode():
            attention = network(clips, "first").branches["stt"].attention.mean(1)  # [C, heads, 1 + T]
        for clip, places in enumerate(where):
            rows = table[(table["tracklet"] == row) & (table["clip"] == clip)]
            assert rows["place"].tolist() == sorted(set(places))
            for frame in rows.itertuples():
                expected = attention[clip, :, 1:][:, places == frame.place].sum(1)
                assert frame.heads == pytest.approx(expected.tolist(), abs=1e-5)
                assert frame.weight == pytest.approx(float(expected.mean()), abs=1e-5)
                assert frame.times == (places == frame.place).sum()
                assert frame.visibility == store.index["visibility"][start + frame.place]


def test_the_weights_of_a_clip_and_its_token_sum_to_one(store):
    table = visuals.temporal_attention(small_network(), store, store.tracklets, 4)
    clips = table.groupby(["tracklet", "clip"]).agg({"weight": "sum", "token": "first", "entropy": "first"})
    assert (clips["weight"] + clips["token"]).to_numpy() == pytest.approx(1, abs=1e-5)
    assert clips["entropy"].between(0, np.log(1 + FRAMES)).all()


@pytest.mark.parametrize("batch", [1, 50])
def test_patches_have_the_weights_of_the_spatial_token(store, batch):
    network = small_network().eval()
    table = visuals.spatial_attention(network, store, store.tracklets.iloc[[0]], batch)
    rows, columns = network.map_size
    assert len(table) == 7 * rows * columns
    inputs = []
    attention = network.branches["stt"].spatial.transformer.layers[0].attention
    hook = attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.inference_mode():
        network(clips_of(store, 0, 7)[1])
        hook.remove()
        _, weights = attention(inputs[0], "all")
    expected = weights[:, :, 0, 1:].mean(1).view(-1, rows, columns)  # ST has one layer
    for place in range(6):  # the last clip repeats frame 6
        frame = table[table["place"] == place].sort_values(["row", "column"])
        got = frame["weight"].to_numpy().reshape(rows, columns)
        np.testing.assert_allclose(got, expected[place].numpy(), atol=1e-5)


def test_a_network_keeps_no_hook(store):
    network = small_network()
    visuals.temporal_attention(network, store, store.tracklets, 4)
    temporal = network.branches["stt"].temporal
    assert not temporal._forward_hooks
    assert not temporal._forward_pre_hooks


def test_tracklets_are_chosen_by_the_change_within_a_clip():
    rows = [
        (1, 10, 0, 1.0), (1, 10, 0, 0.9), (1, 10, 1, 0.3),  # wide over the tracklet, not within a clip
        (1, 11, 0, 1.0), (1, 11, 0, 0.4),
        (2, 20, 0, 1.0), (2, 20, 0, 0.2),
        (2, 21, 0, 1.0), (2, 21, 0, 0.3),  # the same identity as 20
        (3, 30, 0, np.nan), (3, 30, 0, np.nan),
    ]  # fmt: skip
    frames = pd.DataFrame(rows, columns=["identity", "tracklet", "clip", "visibility"])
    assert visuals.most_occluded(frames, 2) == [20, 11]
    assert visuals.most_occluded(frames, 9) == [20, 11, 30]


def test_failures_are_the_worst_wrong_answers_one_per_identity():
    assert visuals.failures(QUERIES, 1) == [4]
    assert visuals.failures(QUERIES, 9) == [4, 2]


def test_successes_are_correct_answers_evenly_spaced_one_per_identity():
    assert visuals.successes(QUERIES, 1) == [7]
    assert visuals.successes(QUERIES, 9) == [3, 7]
    assert visuals.successes(QUERIES.assign(first_hit=2), 9) == []


def two_clusters(count=20):
    noise = 0.1 * np.random.default_rng(0).standard_normal((2 * count, 8))
    points = np.eye(8)[[0] * count + [1] * count] + noise
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_clusters_stay_apart_and_points_are_the_same_again():
    points = visuals.project(two_clusters(), 5, 0)
    assert np.array_equal(points, visuals.project(two_clusters(), 5, 0))
    assert np.abs(points).max() == pytest.approx(1)
    spread = np.linalg.norm(points[:20] - points[:20].mean(0), axis=1).mean()
    assert spread < np.linalg.norm(points[:20].mean(0) - points[20:].mean(0)) / 2


@pytest.mark.parametrize("count", [3, 4, 10])
def test_few_points_lower_the_perplexity(count):
    assert visuals.project(two_clusters()[:count], 30, 0).shape == (count, 2)


@pytest.mark.parametrize("neighbours", [1, 10])
def test_the_share_of_a_label_is_that_of_the_nearest(neighbours):
    points = two_clusters()
    share = visuals.same_label_share(points, np.array(["a"] * 20 + ["b"] * 20), neighbours)
    assert share.tolist() == [1.0] * 40
    mixed, similar, expected = np.tile(["a", "b"], 20), points @ points.T, []
    for row in range(40):
        others = sorted((column for column in range(40) if column != row), key=lambda c: -similar[row, c])
        expected.append(np.mean(mixed[others[:neighbours]] == mixed[row]))
    assert visuals.same_label_share(points, mixed, neighbours) == pytest.approx(expected)


def test_whole_identities_are_drawn_and_keep_their_order():
    table = pd.DataFrame({"tracklet": np.arange(50), "identity": np.arange(50) % 10})
    drawn = visuals.draw(table, 12, 0)
    assert drawn["identity"].value_counts().tolist() == [5, 5]
    assert drawn["tracklet"].is_monotonic_increasing
    assert drawn.equals(visuals.draw(table, 12, 0))
    assert {tuple(visuals.draw(table, 12, seed)["tracklet"]) for seed in range(9)} != {
        tuple(drawn["tracklet"])
    }
    assert len(visuals.draw(table, 1, 0)) == 5  # at least one identity
    assert len(visuals.draw(table, 99, 0)) == 50


@pytest.mark.parametrize(
    ("length", "count", "places"), [(12, 4, [1, 4, 7, 10]), (3, 4, [0, 1, 2]), (1, 4, [0]), (5, 2, [1, 3])]
)
def test_places_are_spread_evenly(length, count, places):
    assert visuals.spread(length, count).tolist() == places


def test_a_strip_holds_its_frames_side_by_side():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (250, 250, 250), (250, 250, 250)]
    frames = np.stack([np.full((64, 32, 3), colour, np.uint8) for colour in colours])
    store = Store(
        frames, pd.DataFrame(), pd.DataFrame({"tracklet": [7, 9], "start": [0, 3], "length": [3, 2]})
    )
    table = visuals.strips(store, "campus", [(9, 0, np.array([0, 1])), (7, 1, np.array([0, 1, 2]))], 32)
    columns = ["tracklet", "clip", "frames", "width", "height"]
    assert table[columns].to_numpy().tolist() == [[9, 0, 2, 16, 32], [7, 1, 3, 16, 32]]
    bright, shown = (np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in table["jpeg"])
    assert bright.mean() == pytest.approx(250, abs=2)
    assert shown.shape == (32, 48, 3)
    assert [int(shown[16, 8 + 16 * place].argmax()) for place in range(3)] == [0, 1, 2]
    (stacked,) = visuals.strips(store, "campus", [(7, -1, np.array([0, 2]))], 32, stacked=True)["jpeg"]
    shown = np.asarray(Image.open(io.BytesIO(stacked)))
    assert shown.shape == (64, 16, 3)
    assert [int(shown[16 + 32 * place, 8].argmax()) for place in range(2)] == [0, 2]
