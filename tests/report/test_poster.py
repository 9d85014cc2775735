"""The poster is a small picture that comes again."""

import io

import numpy as np
from PIL import Image

from sttreid.report.poster import poster


def test_the_poster_is_a_small_picture_with_both_networks_colours(pictures):
    content = poster(pictures)
    assert len(content) < 300_000
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    assert picture.width >= 840
    pixels = np.asarray(picture, int).reshape(-1, 3)
    for colour in ((0, 0x72, 0xB2), (0xC0, 0x5A, 0), (255, 255, 255)):
        assert np.abs(pixels - colour).max(axis=1).min() < 12


def test_equal_pictures_give_equal_bytes(pictures):
    assert poster(pictures) == poster(pictures)
