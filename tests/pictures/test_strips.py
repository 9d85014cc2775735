"""A strip holds the frames that were asked for, in order and proportion."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.pictures.strips import spread, strip, strips
from sttreid.tracklets.store import Store


def plain(colours):
    return np.stack([np.full((64, 32, 3), colour, np.uint8) for colour in colours])


def test_frames_stand_side_by_side():
    jpeg, width = strip(plain([(200, 0, 0), (0, 200, 0), (0, 0, 200)]), 32)
    picture = np.asarray(Image.open(io.BytesIO(jpeg)))
    assert width == 16
    assert picture.shape == (32, 48, 3)
    assert [int(picture[16, 8 + 16 * place].argmax()) for place in range(3)] == [0, 1, 2]
    assert jpeg == strip(plain([(200, 0, 0), (0, 200, 0), (0, 0, 200)]), 32)[0]


@pytest.mark.parametrize(
    ("length", "frames", "places"), [(12, 4, [1, 4, 7, 10]), (3, 4, [0, 1, 2]), (1, 4, [0]), (5, 2, [1, 3])]
)
def test_places_are_spread_evenly(length, frames, places):
    assert spread(length, frames).tolist() == places


def test_a_row_a_strip():
    tracklets = pd.DataFrame({"tracklet": [7, 9], "start": [0, 3], "length": [3, 2]})
    store = Store(plain([(10, 10, 10)] * 3 + [(250, 250, 250)] * 2), pd.DataFrame(), tracklets)
    table = strips(store, "campus", [(9, 0, np.array([0, 1])), (7, 1, np.array([2]))], 64)
    assert table[["tracklet", "clip", "frames", "width", "height"]].to_numpy().tolist() == [
        [9, 0, 2, 32, 64],
        [7, 1, 1, 32, 64],
    ]
    bright = [np.asarray(Image.open(io.BytesIO(jpeg))).mean() for jpeg in table["jpeg"]]
    assert bright == pytest.approx([250, 10], abs=2)
