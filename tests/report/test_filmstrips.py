"""Film strips, attention and ranked lists show what the tables hold, and describe it."""

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.report.filmstrips import concentration, overlay, poster, ranked, spatial, spread, temporal
from tests.report.conftest import jpeg


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def grey(width):
    content = io.BytesIO()
    Image.new("RGB", (width, 32), (90, 90, 90)).save(content, "JPEG")
    return content.getvalue()


def test_a_list_has_its_query_its_matches_and_a_gap(visuals):
    (shown,) = ranked(visuals, "winter", "failure")
    assert {"winter", "tracklet 1", "rank 9", "11.1 %"} <= set(re.split(r"[:,] | at |AP ", shown.title))
    assert "50.0 % visible" in shown.text
    assert [(m.rank, m.correct, m.gap) for m in shown.matches] == [
        (1, False, False),
        (2, False, False),
        (9, True, True),
    ]
    assert shown.strip.jpeg == jpeg(2, 10, stacked=True)
    assert (shown.strip.width, shown.strip.height) == (16, 64)  # frames one below the other
    assert "wrong" in shown.matches[0].strip.alt
    assert ranked(visuals, "winter", "success") == []


def test_unknown_visibility_is_not_mentioned(visuals):
    visuals.lists["query_visibility"] = np.nan
    visuals.frames["visibility"] = np.nan
    assert "visible" not in ranked(visuals, "winter", "failure")[0].text
    assert "visible" not in temporal(visuals)[0].title
    assert "visible ?, ? per cent" in temporal(visuals)[0].charts[0][1]


def test_an_even_share_is_one_whatever_the_token_keeps(visuals):
    frames = visuals.with_shares()
    even = frames.groupby(["variant", "place"])["even"].first()
    assert even["vanilla"].tolist() == pytest.approx([1.5, 0.5])
    assert even["spatial"].tolist() == pytest.approx([1, 1])
    assert frames["gap"].tolist() == pytest.approx([0.3, -0.3] * 4)


def test_repeated_frames_share_what_they_get_together(visuals):
    frames = visuals.frames[visuals.frames["tracklet"] == 7].head(1).assign(times=2, weight=0.8)
    assert replace(visuals, frames=frames).with_shares()["even"].tolist() == pytest.approx([1])


def test_clips_follow_the_strips_and_are_described(visuals):
    shown = temporal(visuals)
    assert [clips.title.split(":")[0] for clips in shown] == ["campus, tracklet 8", "campus, tracklet 7"]
    assert shown[1].title.endswith("identity 37, 2 frames, 40 to 100 % visible")
    assert [clips.open for clips in shown] == [True, False]
    ((_, text),) = shown[1].charts
    assert text == "Clip 1: visible 100, 40 per cent; vanilla 60, 20 per cent; spatial 45, 45 per cent."


def test_spatial_attention_is_laid_over_the_frames_of_each_variant(visuals):
    ((plain, *laid_over),) = spatial(visuals)[0].stacks
    assert plain.jpeg == jpeg(2, 80)
    assert [image.alt for image in laid_over] == [
        f"Clip 1, attention of {name}: 51.9 % top, 33.3 % middle, 14.8 % bottom"
        for name in ("vanilla", "spatial")
    ]
    assert {(image.width, image.height) for image in (plain, *laid_over)} == {(32, 32)}


def test_only_positions_above_an_even_share_glow():
    weights = np.full((1, 2, 2), 0.2)
    weights[0, 0, 1] = 0.4
    shown = pixels(overlay(grey(32), weights, 0.4))
    colour = np.ptp(shown, axis=-1)
    assert colour[4:12, 20:28].min() > 30
    assert colour[20:28].max() < 10
    assert shown[20:28, 4:12].mean() == pytest.approx(90, abs=3)


def test_the_weight_of_the_token_hides_no_position():
    weights = np.full((1, 2, 2), 0.05)  # the token has 0.7
    weights[0, 0, 1] = 0.15
    colour = np.ptp(pixels(overlay(grey(32), weights, 0.15)), axis=-1)
    assert colour[4:12, 20:28].min() > 30
    assert colour[20:28].max() < 10


@pytest.mark.parametrize("rows", [1, 2, 4, 8, 16])
def test_even_attention_goes_to_all_thirds_alike(visuals, rows):
    patches = pd.concat(
        visuals.patches[visuals.patches["row"] == 0].assign(row=row, weight=1 / rows) for row in range(rows)
    )
    ((_, *laid_over), *_) = spatial(replace(visuals, patches=patches))[0].stacks
    assert all(each.alt.endswith(": 33.3 % top, 33.3 % middle, 33.3 % bottom") for each in laid_over)


def test_frames_of_a_strip_have_their_own_maps():
    weights = np.full((2, 1, 1), 1.0)
    weights[0] = 0.0
    assert (
        np.ptp(pixels(overlay(grey(64), weights, 1.0)), axis=(0, 1)).max() < 6
    )  # one position is an even share
    weights = np.zeros((2, 1, 2))
    weights[1, 0, 0] = 1.0
    colour = np.ptp(pixels(overlay(grey(64), weights, 1.0)), axis=-1)
    assert colour[4:28, 34:46].min() > 30
    assert colour[4:28, :28].max() < 10


def test_the_spread_of_attention_is_a_number_of_tokens(visuals):
    assert spread(visuals, "vanilla").value == pytest.approx(np.exp(0.9))
    assert [row[0] for row in concentration(visuals).rows] == ["vanilla", "spatial"]
    assert visuals.clip_frames == 2


def test_the_poster_is_small_has_both_colours_and_is_the_same_again(visuals):
    content = poster(visuals)
    assert content == poster(visuals)
    assert len(content) < 300_000
    colours = pixels(content).reshape(-1, 3)
    for colour in ((0, 0x72, 0xB2), (0xC0, 0x5A, 0), (255, 255, 255)):
        assert np.abs(colours - colour).max(axis=1).min() < 12


def test_tables_are_not_changed(visuals):
    before = visuals.frames.copy()
    temporal(visuals)
    spatial(visuals)
    pd.testing.assert_frame_equal(visuals.frames, before)
