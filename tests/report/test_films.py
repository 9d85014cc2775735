"""Strips, maps and lists show what the tables say, and say it in words as well."""

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.report.films import attended, looked, overlay, ranked
from tests.report.conftest import jpeg


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def test_a_list_has_the_query_its_answers_and_what_comes_later(pictures):
    (one,) = ranked(pictures, "winter", "hardest")
    assert one.title == "winter, tracklet 1: AP 11.1 %, first right answer at rank 9"
    assert one.told == "identity 5, camera 2, 6 frames, 50.0 % visible"
    assert [(a.rank, a.right, a.later) for a in one.answers] == [
        (1, False, False),
        (2, False, False),
        (9, True, True),
    ]
    assert one.answers[0].film.words == "rank 1, wrong: identity 6, camera 3, distance 0.100"
    assert ranked(pictures, "winter", "even") == []


def test_a_query_of_unknown_visibility_says_nothing_of_it(pictures):
    pictures.lists["query_visibility"] = np.nan
    assert "visible" not in ranked(pictures, "winter", "hardest")[0].told


def test_a_film_is_the_strip_itself_with_its_size(pictures):
    film = ranked(pictures, "campus", "hardest")[0].film
    assert (film.width, film.height) == (8, 8)
    content = base64.b64decode(film.uri.removeprefix("data:image/jpeg;base64,"))
    assert content == jpeg(2, 10)


def test_even_attention_is_one_whatever_the_token_keeps(pictures):
    table = attended(pictures)
    even = table.groupby(["variant", "place"])["even"].first()
    assert even["vanilla"].tolist() == pytest.approx([1.5, 0.5])
    assert even["spatial"].tolist() == pytest.approx([1, 1])
    assert table["gap"].tolist() == pytest.approx([0.3, -0.3] * 4)


def test_repeated_frames_share_what_they_get_together(pictures):
    frames = pictures.frames[pictures.frames["tracklet"] == 7].head(1).assign(times=2, weight=0.8)
    table = attended(pictures.__class__(**{**vars(pictures), "frames": frames}))
    assert table["even"].tolist() == pytest.approx([1])


def test_a_clip_says_its_numbers_and_draws_them(pictures):
    shown = looked(pictures)
    assert [one.title for one in shown] == ["campus, tracklet 8", "campus, tracklet 7"]
    assert shown[1].told == "identity 37, 2 frames, 40.0 to 100.0 % visible"
    (clip,) = shown[1].clips
    svg = ElementTree.fromstring(str(clip).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    assert svg.get("aria-label") == (
        "Clip 1: visible 100, 40 per cent; vanilla 60, 20 per cent; spatial 45, 45 per cent."
    )
    boxes = list(svg.iter("{http://www.w3.org/2000/svg}rect"))
    assert all(float(box.get("width")) > 0 for box in boxes)
    bars = [box for box in boxes if box.get("fill-opacity") is None]
    assert [float(bar.get("height")) for bar in bars] == [15, 5, 10, 10]  # 10 pixels are even
    cells = [float(box.get("fill-opacity")) for box in boxes if box.get("fill-opacity")]
    assert cells == [0.3, 0.9, 0.1, 0.3, 0.23, 0.68, 0.23, 0.68]
    height = float(svg.get("height"))
    assert all(float(box.get("y")) + float(box.get("height")) <= height for box in boxes)


def test_unknown_visibility_is_a_question_mark(pictures):
    pictures.frames["visibility"] = np.nan
    shown = looked(pictures)
    assert "visible ?, ? per cent" in shown[0].clips[0]
    assert "visible" not in shown[0].told


def test_maps_stand_beside_the_frames(pictures):
    (films,) = looked(pictures)[0].overlays
    assert [film.words for film in films] == [
        "Clip 1 as it is",
        "Clip 1 under the weights of vanilla: 77.8 % top, 22.2 % middle, 0.0 % bottom",
        "Clip 1 under the weights of spatial: 77.8 % top, 22.2 % middle, 0.0 % bottom",
    ]
    assert {(film.width, film.height) for film in films} == {(8, 8)}


def test_only_places_above_an_even_share_glow():
    content = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 90, 90)).save(content, "JPEG")
    weights = np.full((1, 2, 2), 0.2)
    weights[0, 0, 1] = 0.4
    shown = pixels(overlay(content.getvalue(), weights, 0.4))
    colour = np.ptp(shown, axis=-1)
    assert colour[4:12, 20:28].min() > 30
    assert colour[20:28].max() < 10
    assert shown[20:28, 4:12].mean() == pytest.approx(90, abs=3)


def test_a_strip_s_frames_have_their_own_maps():
    content = io.BytesIO()
    Image.new("RGB", (64, 32), (90, 90, 90)).save(content, "JPEG")
    weights = np.full((2, 1, 1), 1.0)
    weights[0] = 0.0
    blank = pixels(overlay(content.getvalue(), weights, 1.0))
    assert np.ptp(blank, axis=(0, 1)).max() < 6  # of one place, all is an even share
    weights = np.zeros((2, 1, 2))
    weights[1, 0, 0] = 1.0
    colour = np.ptp(pixels(overlay(content.getvalue(), weights, 1.0)), axis=-1)
    assert colour[4:28, 34:46].min() > 30
    assert colour[4:28, :28].max() < 10


def test_tables_are_not_changed(pictures):
    before = pictures.frames.copy()
    looked(pictures)
    pd.testing.assert_frame_equal(pictures.frames, before)
