"""Clips: which frames they take, and augmentation against its single steps."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sttreid.config.params import Augment
from sttreid.tracklets.clips import (
    LUMA,
    MEAN,
    STD,
    Change,
    apply,
    augment,
    consecutive_clips,
    draw,
    normalise,
    restricted_random,
)

Clip = NDArray[np.uint8]
Floats = NDArray[np.float32]
NOTHING = Change(False, 0, 0, 1.0, 1.0, 1.0, np.ones(3, np.float32), 1.0, (0, 0, 0, 0))


def noise(frames: int = 3, height: int = 12, width: int = 8, seed: int = 0) -> Clip:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def applied(clip: Clip, change: Change) -> Floats:
    out = np.full((len(clip), 3, *clip.shape[1:3]), np.nan, np.float32)
    apply(clip, change, out)
    return out


def augmented(clip: Clip, given: Augment, seed: int) -> Floats:
    out = np.full((len(clip), 3, *clip.shape[1:3]), np.nan, np.float32)
    augment(clip, given, np.random.default_rng(seed), out)
    return out


def colours(out: Floats) -> NDArray[np.float64]:
    """Network input [T, 3, H, W] back to colours [T, H, W, 3] between 0 and 1."""
    values: NDArray[np.float64] = out.transpose(0, 2, 3, 1).astype(np.float64) * STD + MEAN
    return values


def draws(given: Augment, count: int = 4000) -> list[Change]:
    rng = np.random.default_rng(1)
    return [draw(given, 64, 32, rng) for _ in range(count)]


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 9))
def test_a_random_clip_has_one_frame_of_each_segment(length: int, frames: int, seed: int) -> None:
    chosen = restricted_random(length, frames, np.random.default_rng(seed))
    assert chosen.shape == (frames,)
    assert chosen.dtype == np.int64
    for segment, frame in enumerate(chosen):
        low, high = segment * length // frames, (segment + 1) * length // frames
        assert low <= frame < max(high, low + 1)


@given(st.integers(1, 30), st.integers(0, 30))
def test_a_tracklet_that_is_too_short_gives_every_frame_in_order(length: int, more: int) -> None:
    chosen = restricted_random(length, length + more, np.random.default_rng(0))
    assert set(chosen) == set(range(length))
    assert (np.diff(chosen) >= 0).all()


@pytest.mark.parametrize("length", [12, 14])
def test_every_frame_of_a_segment_is_drawn_equally_often(length: int) -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([restricted_random(length, 4, rng) for _ in range(6000)])
    for segment in range(4):
        low, high = segment * length // 4, (segment + 1) * length // 4
        counts = np.bincount(drawn[:, segment] - low, minlength=high - low)
        expected = 6000 / (high - low)
        assert len(counts) == high - low
        assert ((counts - expected) ** 2 / expected).sum() < 16  # chi-squared, far beyond its 99.9 % point


def test_segments_are_drawn_independently() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([restricted_random(40, 4, rng) for _ in range(4000)])
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.06


@given(st.integers(1, 300), st.integers(1, 40))
def test_consecutive_clips_use_every_frame_and_repeat_only_the_last_clips_own(
    length: int, frames: int
) -> None:
    clips = consecutive_clips(length, frames)
    assert clips.shape == (math.ceil(length / frames), frames)
    for number, clip in enumerate(clips.tolist()):
        expected = list(range(number * frames, min(length, (number + 1) * frames)))
        assert clip == [expected[i % len(expected)] for i in range(frames)]


def test_normalisation_subtracts_imagenets_mean_and_divides_by_its_deviation() -> None:
    clip = noise()
    out = np.full((3, 3, 12, 8), np.nan, np.float32)
    normalise(clip, out)
    for t, y, x, c in np.ndindex(*clip.shape):
        assert out[t, c, y, x] == pytest.approx((clip[t, y, x, c] / 255 - MEAN[c]) / STD[c], abs=1e-5)


def test_augmentation_with_everything_off_is_normalisation(still: Augment) -> None:
    out = np.empty((3, 3, 12, 8), np.float32)
    normalise(noise(), out)
    assert np.allclose(augmented(noise(), still, 0), out, atol=1e-5)


def changed(clip: Clip, change: Change) -> NDArray[np.float64]:
    """Oracle: every change in a separate step, pixel values between 0 and 1, nothing folded together."""
    value = (clip[:, :, ::-1] if change.flip else clip) / 255.0
    value = value**change.gamma * change.brightness
    grey = (value @ LUMA.astype(float)).mean()
    value = grey + change.contrast * (value - grey)
    pixel_grey = (value @ LUMA.astype(float))[..., None]
    value = np.clip((pixel_grey + change.saturation * (value - pixel_grey)) * change.gains, 0, 1)
    out = np.zeros((len(clip), 3, *clip.shape[1:3]))
    for y, x in np.ndindex(*clip.shape[1:3]):
        from_y, from_x = y - change.down, x - change.right
        if 0 <= from_y < clip.shape[1] and 0 <= from_x < clip.shape[2]:
            out[:, :, y, x] = (value[:, from_y, from_x] - MEAN) / STD
    top, bottom, left, right = change.hole
    out[:, :, top:bottom, left:right] = 0
    return out


@settings(max_examples=60, deadline=None, phases=[Phase.generate])  # shrinking so many numbers takes minutes
@given(
    st.booleans(),
    st.integers(-13, 13),
    st.integers(-9, 9),
    st.lists(st.floats(0, 2), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 1.5), min_size=4, max_size=4),
    st.tuples(st.integers(0, 6), st.integers(6, 12), st.integers(0, 4), st.integers(4, 8)),
)
def test_the_folded_change_equals_its_single_steps(
    flip: bool,
    down: int,
    right: int,
    factors: list[float],
    others: list[float],
    hole: tuple[int, int, int, int],
) -> None:
    gains = np.array(others[:3], np.float32)
    change = Change(flip, down, right, factors[0], factors[1], factors[2], gains, others[3], hole)
    assert np.allclose(applied(noise(), change), changed(noise(), change), atol=2e-4)


@pytest.mark.parametrize("seed", range(20))
def test_equal_frames_stay_equal(lively: Augment, seed: int) -> None:
    out = augmented(np.repeat(noise(1), 4, axis=0), lively, seed)
    assert np.isfinite(out).all()
    assert all(np.array_equal(frame, out[0]) for frame in out)


def test_the_same_stream_gives_the_same_bits_and_another_one_does_not(lively: Augment) -> None:
    assert np.array_equal(augmented(noise(), lively, 3), augmented(noise(), lively, 3))
    assert not np.array_equal(augmented(noise(), lively, 3), augmented(noise(), lively, 4))


def test_the_clip_itself_is_not_changed(lively: Augment) -> None:
    clip = noise()
    for seed in range(10):
        augmented(clip, lively, seed)
    assert np.array_equal(clip, noise())


def test_a_mirrored_clip_is_mirrored() -> None:
    mirrored = applied(noise(), replace(NOTHING, flip=True))
    assert np.array_equal(mirrored, applied(noise(), NOTHING)[..., ::-1])


def test_a_shift_brings_in_the_mean_colour() -> None:
    out = applied(noise(), replace(NOTHING, down=3, right=-2))
    assert np.array_equal(out[:, :, 3:, :6], applied(noise(), NOTHING)[:, :, :9, 2:])
    assert not out[:, :, :3].any()
    assert not out[:, :, :, 6:].any()


def test_a_shift_beyond_the_frame_leaves_the_mean_colour() -> None:
    assert not applied(noise(), replace(NOTHING, down=40, right=-40)).any()


def test_colours_stay_in_the_valid_range() -> None:
    gains = np.array([3, 1, 0.1], np.float32)
    values = colours(applied(noise(), replace(NOTHING, brightness=2.0, contrast=3.0, gains=gains)))
    assert values.min() >= -1e-6
    assert values.max() <= 1 + 1e-6


def test_no_saturation_is_grey_and_no_contrast_is_plain() -> None:
    grey = colours(applied(noise(), replace(NOTHING, saturation=0.0)))
    assert np.ptp(grey, axis=-1).max() < 1e-5
    plain = colours(applied(noise(), replace(NOTHING, contrast=0.0)))
    assert np.ptp(plain) < 1e-5
    assert plain.mean() == pytest.approx((noise() / 255 @ LUMA).mean(), abs=1e-5)


def test_outcomes_have_the_distributions_that_the_settings_name(lively: Augment) -> None:
    changes = draws(replace(lively, flip=0.3, erase=0.2))
    assert np.mean([change.flip for change in changes]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([change.hole != (0, 0, 0, 0) for change in changes]) == pytest.approx(0.2, abs=0.03)
    for shifts in ([change.down for change in changes], [change.right for change in changes]):
        counts = np.bincount(np.array(shifts) + 4)
        assert len(counts) == 9
        assert np.abs(counts / 4000 - 1 / 9).max() < 0.02
    for name, spread in (("brightness", 0.3), ("contrast", 0.3), ("saturation", 0.5)):
        factors = np.array([getattr(change, name) for change in changes])
        assert factors.min() >= 1 - spread
        assert factors.max() <= 1 + spread
        assert factors.mean() == pytest.approx(1, abs=0.02)
        assert factors.std() == pytest.approx(spread / math.sqrt(3), rel=0.05)
    gammas = np.log([change.gamma for change in changes])
    assert np.abs(gammas).max() <= 0.2
    assert gammas.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.05)
    gains = np.log([change.gains for change in changes])
    assert gains.std(axis=0) == pytest.approx([0.1] * 3, rel=0.05)
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 0.06


def test_factors_never_fall_below_0(still: Augment) -> None:
    changes = draws(replace(still, brightness=3, contrast=3, saturation=3), 200)
    assert min(min(change.brightness, change.contrast, change.saturation) for change in changes) == 0


def test_holes_are_inside_the_frame_with_the_set_area_and_aspect(still: Augment) -> None:
    changes = draws(replace(still, erase=1.0, erase_area_low=0.05, erase_area_high=0.15, erase_aspect=2.0))
    top, bottom, left, right = np.array([change.hole for change in changes]).T
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 64, 0, 32)
    high, wide = bottom - top, right - left
    share = high * wide / (64 * 32)
    assert share.min() > 0.045
    assert share.max() < 0.16
    assert share.mean() == pytest.approx(0.1, abs=0.003)
    assert np.log(high / wide).mean() == pytest.approx(0, abs=0.03)
    assert np.abs(np.log(high / wide)).max() < math.log(2.0) + 0.12  # sides are whole pixels


def test_a_hole_that_does_not_fit_is_cut_to_the_frame(still: Augment) -> None:
    given = replace(still, erase=1.0, erase_area_low=1.0, erase_area_high=1.0, erase_aspect=4.0)
    for change in draws(given, 300):
        top, bottom, left, right = change.hole
        assert 0 <= top < bottom <= 64
        assert 0 <= left < right <= 32
        assert bottom - top == 64 or right - left == 32


def test_one_setting_leaves_the_other_outcomes_alone(lively: Augment) -> None:
    plain = draw(lively, 64, 32, np.random.default_rng(8))
    other = draw(replace(lively, erase=0.0, brightness=0.9), 64, 32, np.random.default_rng(8))
    assert other.hole == (0, 0, 0, 0)
    assert other.brightness != plain.brightness
    for name in ("flip", "down", "right", "contrast", "saturation", "gamma"):
        assert getattr(plain, name) == getattr(other, name)
    assert np.array_equal(plain.gains, other.gains)
