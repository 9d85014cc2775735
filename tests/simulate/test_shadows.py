import numpy as np

from sttreid.simulate.rays import OPEN_AIR
from sttreid.simulate.shadows import darken, flatten, stencil


def test_a_point_at_height_h_throws_its_shadow_h_over_the_slope_away() -> None:
    points, out = np.array([[1, 2, 1.5], [3, 4, 0]], np.float32), np.empty((2, 3), np.float32)
    flatten(points, np.array([0.6, 0.0, 0.8], np.float32), out)
    assert np.allclose(out, [[1 - 0.75 * 1.5, 2, 0], [3, 4, 0]])


def test_the_stencil_covers_the_triangle_and_the_box_holds_it() -> None:
    screen = np.array([[2, 2, 5], [12, 2, 5], [2, 12, 5]], np.float32)
    mask, box = np.zeros((16, 16), np.uint8), np.array([8, 8, 8, 8])
    stencil(screen, np.array([[0, 1, 2]], np.int32), mask, box)
    rows, columns = np.nonzero(mask)
    assert abs(int(mask.sum()) - 50) <= 10
    assert box[0] <= columns.min()
    assert columns.max() <= box[2]
    assert box[1] <= rows.min()
    assert rows.max() <= box[3]


def test_the_stencil_is_every_pixel_whose_middle_lies_in_a_triangle_seen_from_either_side() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        screen = np.concatenate([rng.uniform(-4, 24, (3, 2)), np.full((3, 1), 5.0)], 1).astype(np.float32)
        mask, box = np.zeros((20, 20), np.uint8), np.array([9, 9, 9, 9])
        stencil(screen, np.array([[0, 1, 2]], np.int32), mask, box)
        y, x = np.mgrid[:20, :20] + 0.5
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
            for p, q in zip(screen.astype(float), screen[[1, 2, 0]].astype(float), strict=True)
        ]
        inside = np.all(np.array(sides) >= 0, 0) | np.all(np.array(sides) <= 0, 0)
        assert (inside != mask).sum() <= 1


def test_only_ground_is_darkened_and_the_mask_is_cleared() -> None:
    image, ground = np.full((6, 6, 3), 100, np.float32), np.full((6, 6, 2), 50, np.float32)
    ground[:3] = OPEN_AIR
    mask = np.ones((6, 6), np.uint8)
    darken(image, ground, mask, np.array([-4, 0, 3, 9]), np.array([0.0, 0.0]), 0.5)
    assert (image[:3] == 100).all()
    assert np.allclose(image[3:, :4], 50)
    assert (image[3:, 4:] == 100).all()
    assert not mask[:, :4].any()


def test_feet_darken_the_ground_around_them() -> None:
    image, ground = np.full((1, 9, 3), 100, np.float32), np.zeros((1, 9, 2), np.float32)
    ground[0, :, 0] = np.arange(9) * 0.25
    darken(image, ground, np.zeros((1, 9), np.uint8), np.array([0, 0, 8, 0]), np.array([0.0, 0.0]), 0.5)
    assert image[0, 0, 0] < 70
    assert (np.diff(image[0, :, 0]) >= 0).all()
    assert image[0, 8, 0] > 99
