import numpy as np
import pytest

from sttreid.domain import Domain
from sttreid.simulate.body import JOINTS, Part
from sttreid.simulate.clothing import figure
from sttreid.simulate.raster import FAR, NOTHING, composite, rasterise, skin
from sttreid.simulate.wardrobe import look


def drawn(screen: np.ndarray, faces: list[list[int]], part: int, size: int) -> tuple[np.ndarray, ...]:
    depth = np.full((size, size), FAR, np.float32)
    hit, bary = np.full((size, size), NOTHING, np.int32), np.zeros((size, size, 2), np.float32)
    parts = np.full(len(faces), part, np.uint8)
    rasterise(screen.astype(np.float32), np.array(faces, np.int32), parts, 0, 0, depth, hit, bary)
    return depth, hit, bary


def naive(screen: np.ndarray, face: list[int], size: int) -> np.ndarray:
    """Which samples, two to a pixel, lie in a triangle: the sign of three cross products."""
    inside = np.zeros((size, size), bool)
    a, b, c = (screen[corner, :2] * 2 for corner in face)
    for y in range(size):
        for x in range(size):
            point = np.array([x + 0.5, y + 0.5])
            sides = [
                (q - p)[0] * (point - p)[1] - (q - p)[1] * (point - p)[0] for p, q in ((a, b), (b, c), (c, a))
            ]
            inside[y, x] = all(side >= 0 for side in sides) or all(side <= 0 for side in sides)
    return inside


def test_triangles_cover_the_samples_that_lie_in_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        screen = np.concatenate([rng.uniform(-3, 19, (3, 2)), np.full((3, 1), 5.0)], 1)
        _, hit, _ = drawn(screen, [[0, 1, 2]], Part.COAT, 32)
        assert ((hit == 0) != naive(screen, [0, 1, 2], 32)).sum() <= 1


def test_the_nearest_triangle_wins_in_any_order() -> None:
    screen = np.array([[1, 1, 5], [15, 1, 5], [1, 15, 5], [1, 1, 3], [15, 1, 9], [1, 15, 3]], float)
    depth, hit, _ = drawn(screen, [[0, 1, 2], [3, 4, 5]], Part.SKIRT, 32)
    swapped, other, _ = drawn(screen, [[3, 4, 5], [0, 1, 2]], Part.SKIRT, 32)
    assert np.array_equal(depth, swapped)
    assert np.array_equal(hit[hit >= 0], 1 - other[other >= 0])
    assert {0, 1} <= set(hit.ravel().tolist())


def test_barycentric_weights_give_back_the_place() -> None:
    screen = np.array([[2, 3, 4], [14, 5, 4], [6, 13, 4]], float)
    _, hit, bary = drawn(screen, [[0, 1, 2]], Part.HAIR, 32)
    for y, x in np.argwhere(hit == 0):
        u, v = bary[y, x]
        place = (1 - u - v) * screen[0] + u * screen[1] + v * screen[2]
        assert np.allclose(place[:2], [(x + 0.5) / 2, (y + 0.5) / 2], atol=1e-3)


def test_solids_are_seen_from_one_side_and_sheets_from_both() -> None:
    screen = np.array([[1, 1, 5], [15, 1, 5], [1, 15, 5]], float)
    seen = [
        (drawn(screen, [face], part, 32)[1] == 0).any() for part in (0, 9) for face in ([0, 1, 2], [0, 2, 1])
    ]
    assert seen == [False, True, True, True]


def test_skinning_is_linear_blending(domain: Domain) -> None:
    person = figure(look(2, "a", domain, 0))
    matrices = np.random.default_rng(0).normal(size=(len(JOINTS), 3, 4)).astype(np.float32)
    out, turned = np.empty_like(person.vertices), np.empty_like(person.vertices)
    skin(person.vertices, person.normals, person.weights, person.influences, matrices, out, turned)
    homogeneous = np.concatenate([person.vertices, np.ones((len(out), 1), np.float32)], 1)
    expected = sum(
        person.weights[:, k, None] * np.einsum("vab,vb->va", matrices[person.influences[:, k]], homogeneous)
        for k in range(4)
    )
    assert np.allclose(out, expected, atol=1e-4)


def test_a_covering_tile_replaces_the_picture_and_is_counted() -> None:
    picture, owner, lost = (
        np.full((8, 8, 3), 50, np.float32),
        np.full((8, 8), NOTHING, np.int32),
        np.zeros(2, np.int64),
    )
    tile = np.full((4, 4, 4), 200, np.float32)
    tile[..., 3] = 1
    composite(tile, 2, 2, 0.0, 0.0, picture, owner, 0, lost)
    composite(tile[:2], 3, 5, 0.0, 0.0, picture, owner, 1, lost)
    assert (picture[2:6, 2:6] == 200).all()
    assert (picture[:2] == 50).all()
    assert lost.tolist() == [3, 0]


def test_half_a_cover_mixes_and_a_tile_beyond_the_edge_is_cut() -> None:
    picture, owner, lost = (
        np.full((8, 8, 3), 50, np.float32),
        np.full((8, 8), NOTHING, np.int32),
        np.zeros(1, np.int64),
    )
    tile = np.full((4, 4, 4), 100, np.float32)
    tile[..., 3] = 0.5
    composite(tile, -2, 6, 0.0, 0.0, picture, owner, 0, lost)
    assert (picture[6:, :2] == 125).all()
    assert (picture[:6] == 50).all()
    assert (owner == NOTHING).all()


def test_motion_spreads_a_tile_along_its_way_and_keeps_its_weight() -> None:
    picture, owner, lost = (
        np.zeros((9, 15, 3), np.float32),
        np.full((9, 15), NOTHING, np.int32),
        np.zeros(1, np.int64),
    )
    tile = np.zeros((1, 1, 4), np.float32)
    tile[0, 0] = 100, 100, 100, 1
    composite(tile, 7, 4, 4.0, 0.0, picture, owner, 0, lost)
    assert picture[4, :, 0].sum() == pytest.approx(100)
    assert (picture[4, :, 0] > 0).sum() > 3
    assert not picture[:4].any()
