import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sttreid.data.crops import crop
from sttreid.runtime.errors import InputError


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def triangle(size: int, start: float, length: float, count: int) -> NDArray[np.float64]:
    """Weights [count, size] of an antialiased bilinear resize of a part of one axis."""
    scale = max(length / count, 1.0)
    weights = np.zeros((count, size))
    for out in range(count):
        centre = start + (out + 0.5) * length / count
        for index in range(size):
            weights[out, index] = max(0.0, 1 - abs(index + 0.5 - centre) / scale)
        weights[out] /= weights[out].sum()
    return weights


@pytest.mark.parametrize("size", [(64, 32), (16, 8), (7, 5), (120, 90)])
def test_a_crop_is_the_antialiased_bilinear_image_of_its_box(size: tuple[int, int]) -> None:
    frame = noise(80, 60)
    rows, columns = triangle(80, 0, 80, size[0]), triangle(60, 0, 60, size[1])
    expected = np.einsum("iy,yxc,jx->ijc", rows, frame, columns)
    assert np.abs(crop(frame, (0, 0, 60, 80), *size) - expected).max() <= 1.01  # two roundings


def test_a_box_inside_the_frame_uses_its_own_pixels_only() -> None:
    frame = noise(40, 40)
    alone = crop(np.ascontiguousarray(frame[10:30, 5:15]), (0, 0, 10, 20), 8, 4)
    assert np.array_equal(crop(frame, (5, 10, 10, 20), 8, 4), alone)


def test_a_box_of_the_wanted_size_is_copied() -> None:
    frame = noise(40, 40)
    assert np.array_equal(crop(frame, (3, 7, 16, 32), 32, 16), frame[7:39, 3:19])


def test_a_box_with_fractions_blends_neighbours() -> None:
    frame = np.zeros((10, 10, 3), np.uint8)
    frame[:, 5:] = 200
    left, middle, right = (int(crop(frame, (x, 2, 2, 4), 4, 2)[0, 1, 0]) for x in (3, 3.5, 4))
    assert (left, right) == (0, 200)
    assert 80 <= middle <= 120


def test_what_lies_outside_the_frame_is_cut_off() -> None:
    frame = noise(40, 30)
    whole = crop(frame, (0, 0, 30, 40), 16, 8)
    assert np.array_equal(crop(frame, (-7, -9.5, 500, 70), 16, 8), whole)


@pytest.mark.parametrize(
    "box", [(30, 0, 5, 5), (0, 40, 5, 5), (-5, 0, 5, 5), (0, -6, 5, 5), (90, 90, 1, 1), (3, 3, 0, 5)]
)
def test_a_box_without_overlap_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="must overlap the 30x40 frame"):
        crop(noise(40, 30), box, 8, 4)


@pytest.mark.parametrize("box", [(29.9, 0, 9, 9), (0, -8, 9, 9.9), (5, 5, 1.9, 9), (-5, 0, 5.0000001, 9)])
def test_a_sliver_is_no_crop(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="must show 2 pixels of the 30x40 frame"):
        crop(noise(40, 30), box, 8, 4)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-18, 27.9), st.floats(-18, 37.9), st.floats(20.1, 60), st.floats(20.1, 60), st.integers(0, 255)
)
def test_a_plain_frame_gives_a_plain_crop(
    left: float, top: float, width: float, height: float, grey: int
) -> None:
    out = crop(np.full((40, 30, 3), grey, np.uint8), (left, top, width, height), 8, 4)
    assert out.shape == (8, 4, 3)
    assert (out == grey).all()
