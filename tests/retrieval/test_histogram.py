"""Colour histograms agree with the standard library's colour conversion and naive counts."""

import colorsys

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.retrieval.histogram import BINS, STRIPES, bins, equalise, histograms
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store


def store_of(frames, lengths):
    starts = np.cumsum((0, *lengths[:-1]))
    numbers = np.arange(len(lengths))
    columns = {"tracklet": numbers, "identity": numbers, "camera": 1, "split": "test"}
    rows = pd.DataFrame({**columns, "start": starts, "length": lengths})
    return Store(frames=frames, index=pd.DataFrame(), tracklets=rows)


def code(colour):
    """The bin of one colour between 0 and 1 by the standard library."""
    h, s, v = colorsys.rgb_to_hsv(*colour)
    return (min(int(h * 8), 7) * 4 + min(int(s * 4), 3)) * 4 + min(int(v * 4), 3)


def test_bins_agree_with_the_standard_library():
    colours = np.random.default_rng(0).random((5000, 3))
    corners = [np.eye(3), 1 - np.eye(3), np.zeros((1, 3)), np.ones((1, 3))]
    colours = np.concatenate([colours, colours[:200, [0, 0, 0]], *corners])
    np.testing.assert_array_equal(bins(colours), [code(colour) for colour in colours.tolist()])


def rank(level, levels):
    """The step of a level: the count of lower levels and half of the equal ones."""
    return int((np.sum(levels < level) + np.sum(levels == level) / 2) * 32 / levels.size)


def test_equalised_levels_are_ranks():
    pixels = np.random.default_rng(3).integers(0, 40, (2, 5, 4, 3), dtype=np.uint8)
    expected = [[rank(level, pixels[..., c]) for c, level in enumerate(p)] for p in pixels.reshape(-1, 3)]
    np.testing.assert_array_equal(equalise(pixels).reshape(-1, 3), expected)


def test_extreme_images_can_be_equalised():
    assert equalise(np.full((1, 2, 2, 3), 255, np.uint8)).tolist() == np.full((1, 2, 2, 3), 16).tolist()
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    assert equalise(ramp)[..., 0].ravel().tolist() == [level // 8 for level in range(256)]


def test_a_plain_histogram_counts_the_colours_as_they_are():
    frames = np.random.default_rng(2).integers(0, 256, (3, 12, 8, 3), dtype=np.uint8)
    store = store_of(frames, (3,))
    expected = np.zeros(STRIPES * BINS)
    for frame in frames[:, :, 2:6]:
        for y, row in enumerate(frame):
            for pixel in row:
                middle = (pixel // 8 + 0.5) / 32
                expected[y // 2 * BINS + bins(middle)] += 1
    result = histograms(store, store.tracklets, equalised=False)
    np.testing.assert_allclose(result[0], expected / expected.sum(), rtol=1e-6)


def test_a_histogram_is_the_naive_count_per_stripe_averaged_over_frames():
    frames = np.random.default_rng(1).integers(0, 256, (7, 16, 9, 3), dtype=np.uint8)
    store = store_of(frames, (3, 4))
    result = histograms(store, store.tracklets, equalised=True)
    expected = np.zeros((2, STRIPES * BINS))
    for row, (low, high) in enumerate(((0, 3), (3, 7))):
        middle = frames[low:high, :, 2:7]
        for frame in middle:
            for line, pixels in enumerate(frame):
                for pixel in pixels:
                    steps = [rank(level, middle[..., c]) for c, level in enumerate(pixel)]
                    colour = [(step + 0.5) / 32 for step in steps]
                    expected[row, line * STRIPES // 16 * BINS + code(colour)] += 1 / (high - low) / 16 / 5
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-9)


def test_rows_sum_to_one_and_do_not_depend_on_length_or_order():
    frames = np.random.default_rng(2).integers(0, 256, (9, 12, 6, 3), dtype=np.uint8)
    store = store_of(np.concatenate([frames, frames[::-1], frames]), (9, 18))
    result = histograms(store, store.tracklets, equalised=True)
    torch.testing.assert_close(result.sum(1), torch.ones(2))
    torch.testing.assert_close(result[0], result[1])


def test_the_lighting_of_a_camera_changes_nothing():
    frames = np.random.default_rng(4).integers(0, 100, (6, 12, 8, 3), dtype=np.uint8)
    relit = (frames * np.array([2, 1, 2]) + np.array([0, 90, 30])).astype(np.uint8)
    store = store_of(np.concatenate([frames, relit]), (6, 6))
    result = histograms(store, store.tracklets, equalised=True)
    torch.testing.assert_close(result[0], result[1])


def test_the_sides_of_an_image_change_nothing():
    frames = np.random.default_rng(5).integers(0, 256, (4, 12, 8, 3), dtype=np.uint8)
    other_sides = frames.copy()
    other_sides[:, :, [0, 1, 6, 7]] = 7
    store = store_of(np.concatenate([frames, other_sides]), (4, 4))
    result = histograms(store, store.tracklets, equalised=True)
    torch.testing.assert_close(result[0], result[1])


def test_the_height_of_a_colour_matters():
    dark, bright = np.zeros((1, 12, 6, 3), np.uint8), np.full((1, 12, 6, 3), 255, np.uint8)
    down = np.concatenate([dark[:, :6], bright[:, 6:]], axis=1)
    store = store_of(np.concatenate([down, down[:, ::-1]]), (1, 1))
    result = histograms(store, store.tracklets, equalised=True)
    torch.testing.assert_close(result.sqrt() @ result.sqrt().t(), torch.eye(2))


@pytest.mark.parametrize(("height", "width"), [(5, 4), (6, 1)])
def test_images_that_are_too_small_are_refused(height, width):
    store = store_of(np.zeros((1, height, width, 3), np.uint8), (1,))
    with pytest.raises(InputError, match=f"at least 6 pixels high and 2 wide, got {height} x {width}"):
        histograms(store, store.tracklets, equalised=True)
