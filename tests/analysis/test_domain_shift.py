"""How far apart data sets are: features against loops over pixels, accuracies against made-up domains."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import KFold, PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sttreid.analysis.domain_shift import (
    CropSample,
    assign_folds,
    features,
    sample_crops,
    separate,
    separate_all,
)
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

HEIGHT, WIDTH, CAMERAS, CROPS = 12, 6, 8, 40
Frames = NDArray[np.uint8]


def output(frames: Frames, cameras: NDArray[np.int64]) -> Store:
    """A store of one frame a tracklet; sampling reads nothing but the frames and their cameras."""
    return Store(frames=frames, index=pd.DataFrame({"camera": cameras}), tracklets=pd.DataFrame())


def random_store(seed: int, cameras: int = CAMERAS, tints: float = 0.0, warmth: float = 0.0) -> Store:
    """Noise images of random clothes; each camera may have a tint of its own, and the whole domain first."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(1, cameras + 1), CROPS)
    clothes = rng.normal(128, 25, (len(owners), 2, 1, 3)).repeat(HEIGHT // 2, axis=1)
    tint = rng.normal(0, tints, (cameras + 1, 1, 1, 3)) if tints else np.zeros((cameras + 1, 1, 1, 3))
    noise = rng.normal(0, 8, (len(owners), HEIGHT, WIDTH, 3))
    pixels = clothes + tint[owners] + noise + warmth * np.array([1, 0, -1])
    return output(pixels.clip(0, 255).astype(np.uint8), owners)


def sampled(store: Store) -> CropSample:
    return sample_crops(store, CROPS, 0)


def naive_features(crop: NDArray[np.int64]) -> list[float]:
    """One crop, pixel by pixel; the height is a multiple of six."""
    height, width = crop.shape[:2]
    values: list[float] = []
    for stripe in range(6):
        pixels = [crop[y, x] for y in range(height) if y * 6 // height == stripe for x in range(width)]
        means = [sum(int(p[c]) for p in pixels) / len(pixels) for c in range(3)]
        spreads = [sum((int(p[c]) - means[c]) ** 2 for p in pixels) / len(pixels) for c in range(3)]
        values += [*means, *map(math.sqrt, spreads)]
    grey = [[0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] for p in row] for row in crop.tolist()]
    flat = [value for row in grey for value in row]
    mean = sum(flat) / len(flat)
    values.append(math.sqrt(sum((value - mean) ** 2 for value in flat) / len(flat)))
    down = [abs(grey[y + 1][x] - grey[y][x]) for y in range(height - 1) for x in range(width)]
    across = [abs(grey[y][x + 1] - grey[y][x]) for y in range(height) for x in range(width - 1)]
    curved = [
        abs(grey[y - 1][x] + grey[y + 1][x] + grey[y][x - 1] + grey[y][x + 1] - 4 * grey[y][x])
        for y in range(1, height - 1)
        for x in range(1, width - 1)
    ]
    return values + [sum(part) / len(part) for part in (down, across, curved)]


def test_features_are_those_of_loops_over_the_pixels() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 18, 7, 3), dtype=np.uint8)
    expected = [naive_features(crop) for crop in crops.astype(np.int64)]
    assert np.shape(expected) == (5, 40)
    np.testing.assert_allclose(features(crops), expected, rtol=1e-6)


def test_every_crop_has_features_of_its_own_alone() -> None:
    crops = np.random.default_rng(1).integers(0, 256, (6, 13, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(features(crops)[3:4], features(crops[3:4]))


@pytest.mark.parametrize(("height", "width"), [(5, 3), (6, 2)])
def test_crops_that_are_too_small_are_refused(height: int, width: int) -> None:
    with pytest.raises(InputError, match=f"6 rows high and 3 columns wide, got {height} x {width}"):
        features(np.zeros((1, height, width, 3), np.uint8))


def test_a_sample_holds_as_many_crops_of_each_camera_all_different() -> None:
    cameras = np.repeat([3, 1, 7], [30, 9, 50])
    frames = np.arange(89, dtype=np.uint8)[:, None, None, None] * np.ones((1, 6, 3, 3), np.uint8)
    result = sample_crops(output(frames, cameras), 20, 5)
    assert np.unique(result.cameras, return_counts=True)[1].tolist() == [9, 20, 20]
    levels = result.features[:, 0].astype(int)  # a plain crop's level is its row
    assert len(set(levels.tolist())) == 49
    assert cameras[levels].tolist() == result.cameras.tolist()
    other = sample_crops(output(frames, cameras), 20, 6).features[:, 0].astype(int)
    assert set(levels.tolist()) != set(other.tolist())


def test_the_crops_of_a_camera_do_not_depend_on_the_other_cameras() -> None:
    store = random_store(4)
    few = output(store.frames[: 2 * CROPS], store.index["camera"].to_numpy()[: 2 * CROPS])
    every, some = sample_crops(store, 10, 1), sample_crops(few, 10, 1)
    np.testing.assert_array_equal(every.features[every.cameras <= 2], some.features)


@pytest.mark.parametrize("folds", [2, 3, 5, 8])
def test_a_camera_lies_in_one_part_and_parts_are_even(folds: int) -> None:
    cameras = np.random.default_rng(2).permutation(np.repeat([2, 3, 5, 7, 11, 13, 17, 19], 6))
    result = assign_folds(cameras, folds, 0)
    counts = [len(set(cameras[result == number].tolist())) for number in range(folds)]
    assert sum(counts) == 8
    assert max(counts) - min(counts) <= 1


def test_the_accuracy_is_that_of_scikit_learns_own_cross_validation() -> None:
    first, second = sampled(random_store(1, tints=12)), sampled(random_store(2, tints=12, warmth=6))
    truth = np.repeat([0, 1], [len(first.cameras), len(second.cameras)])
    part = np.concatenate([assign_folds(first.cameras, 4, 0), assign_folds(second.cameras, 4, 0)])
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000, tol=1e-8))
    every = np.concatenate([first.features, second.features])
    message = cross_val_predict(model, every, truth, cv=PredefinedSplit(part))
    result = separate(first, second, 4, 0)
    assert result.accuracy == pytest.approx(balanced_accuracy_score(truth, message), abs=1.1 / len(message))
    shares = [
        [
            np.mean((message == side)[truth == side][data.cameras == camera])
            for camera in range(1, CAMERAS + 1)
        ]
        for side, data in ((0, first), (1, second))
    ]
    errors = [np.std(values, ddof=1) / math.sqrt(CAMERAS) for values in shares]
    assert result.error == pytest.approx(math.hypot(*errors) / 2, abs=2e-3)


def test_data_sets_of_one_distribution_cannot_be_told_apart() -> None:
    result = separate(sampled(random_store(1)), sampled(random_store(2)), 4, 0)
    assert result.accuracy == pytest.approx(0.5, abs=0.08)
    assert result.error < 0.05


def test_a_data_set_and_its_copy_score_one_half() -> None:
    assert separate(sampled(random_store(3)), sampled(random_store(3)), 4, 0).accuracy == 0.5


def test_shifted_colours_are_told_apart() -> None:
    assert separate(sampled(random_store(1)), sampled(random_store(2, warmth=80)), 4, 0).accuracy > 0.97


def test_the_larger_the_shift_the_better_it_is_told() -> None:
    result = [
        separate(sampled(random_store(1)), sampled(random_store(2, warmth=w)), 4, 0).accuracy
        for w in (0, 6, 12, 24)
    ]
    assert result == sorted(result)
    assert result[-1] - result[0] > 0.2


def test_cameras_alone_make_no_shift_though_seen_cameras_would() -> None:
    """Strong tints, drawn alike in both data sets: crops of known cameras are separated, of unknown not."""
    unseen, seen = [], []
    for seed in range(40):  # with so few cameras a single draw may lie far from one half
        first, second = (sampled(random_store(2 * seed + side, cameras=3, tints=40)) for side in (0, 1))
        unseen.append(separate(first, second, 3, seed).accuracy)
        every = np.concatenate([first.features, second.features])
        truth = np.repeat([0, 1], len(first.features))
        model: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        message = cross_val_predict(model, every, truth, cv=KFold(5, shuffle=True, random_state=0))
        seen.append(balanced_accuracy_score(truth, message))
    assert np.mean(unseen) == pytest.approx(0.5, abs=0.08)
    assert np.mean(seen) > 0.7


def test_the_error_covers_the_spread_between_draws_of_cameras() -> None:
    result = [
        separate(sampled(random_store(s, tints=25)), sampled(random_store(s + 50, tints=25)), 8, s)
        for s in range(16)
    ]
    spread = np.std([item.accuracy for item in result], ddof=1)
    assert 0.5 < np.mean([item.error for item in result]) / spread < 2


def test_both_directions_are_one_number() -> None:
    first, second = (
        sampled(random_store(5, tints=10)),
        sampled(random_store(6, cameras=5, tints=10, warmth=10)),
    )
    assert separate(first, second, 4, 1).accuracy == pytest.approx(
        separate(second, first, 4, 1).accuracy, abs=1e-9
    )


def test_fewer_cameras_than_folds_are_held_out_one_by_one() -> None:
    first, second = sampled(random_store(1, cameras=3)), sampled(random_store(2, cameras=6, warmth=10))
    assert separate(first, second, 50, 0) == separate(first, second, 3, 0)


def test_a_single_camera_is_refused() -> None:
    with pytest.raises(InputError, match="on unseen cameras and must have at least 2, got 1"):
        separate(sampled(random_store(1)), sampled(random_store(2, cameras=1)), 4, 0)


def test_the_data_set_of_a_single_camera_is_named() -> None:
    samples = {"hall": sampled(random_store(1)), "lobby": sampled(random_store(2, cameras=1))}
    with pytest.raises(InputError, match=r"^lobby: data sets are compared on unseen cameras"):
        separate_all(samples, 4, 0)


def test_the_order_of_the_crops_changes_nothing() -> None:
    first, second = sampled(random_store(7, tints=10)), sampled(random_store(8, tints=10, warmth=5))
    order = np.random.default_rng(0).permutation(len(first.cameras))
    moved = CropSample(first.features[order], first.cameras[order])
    assert separate(moved, second, 4, 2) == separate(first, second, 4, 2)


def test_every_pair_is_listed_once_in_four_digits() -> None:
    samples = {name: sampled(random_store(seed, warmth=9 * seed)) for seed, name in enumerate("abc")}
    content = separate_all(samples, 3, 0)
    assert {name: set(row) for name, row in content["accuracy"].items()} == {"a": {"b", "c"}, "b": {"c"}}
    expected = separate(samples["a"], samples["c"], 3, 0)
    assert content["accuracy"]["a"]["c"] == round(expected.accuracy, 4)
    assert content["standard_error"]["a"]["c"] == round(expected.error, 4)
    assert separate_all(samples, 3, 0) == content
