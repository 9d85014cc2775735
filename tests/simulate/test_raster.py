import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.body import JOINTS, MeshPart
from sttreid.simulate.optics import camera_record, light_record
from sttreid.simulate.pedestrian import build_pedestrian, material
from sttreid.simulate.raster import (
    FAR,
    HIDDEN,
    NOTHING,
    SAMPLES,
    PosedMesh,
    Samples,
    Surroundings,
    composite,
    empty_samples,
    extent,
    project_points,
    rasterise,
    shade,
    skin,
)
from sttreid.simulate.rays import SOLID, Shape, SolidKind, photograph
from sttreid.simulate.wardrobe import draw_appearance


def drawn(screen: np.ndarray, faces: list[list[int]], part: int, size: int) -> Samples:
    samples, parts = empty_samples(size // 2, size // 2), np.full(len(faces), part, np.uint8)
    rasterise(screen.astype(np.float32), np.array(faces, np.int32), parts, 0, 0, samples)
    return samples


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
        _, hit, _ = drawn(screen, [[0, 1, 2]], MeshPart.COAT, 32)
        assert ((hit == 0) != naive(screen, [0, 1, 2], 32)).sum() <= 1


def test_no_sample_falls_between_two_triangles() -> None:
    """Samples that lie on the common edge of both, and others."""
    rng = np.random.default_rng(0)
    for corner in [(16.0, 16.0), *rng.uniform(8, 24, (20, 2))]:
        screen = np.array([[0, 0, 5], [16, 0, 5], [*corner, 5], [0, 16, 5]], float)
        _, hit, _ = drawn(screen, [[0, 1, 2], [0, 2, 3]], MeshPart.COAT, 32)
        square = screen[:3, :2].min() == 0 and corner[0] >= 16 and corner[1] >= 16
        expected = naive(screen, [0, 1, 2], 32) | naive(screen, [0, 2, 3], 32)
        assert (hit != NOTHING)[expected].all()
        assert not square or (hit != NOTHING).all()


def test_the_nearest_triangle_wins_in_any_order() -> None:
    screen = np.array([[1, 1, 5], [15, 1, 5], [1, 15, 5], [1, 1, 3], [15, 1, 9], [1, 15, 3]], float)
    depth, hit, _ = drawn(screen, [[0, 1, 2], [3, 4, 5]], MeshPart.SKIRT, 32)
    swapped, other, _ = drawn(screen, [[3, 4, 5], [0, 1, 2]], MeshPart.SKIRT, 32)
    assert np.array_equal(depth, swapped)
    assert np.array_equal(hit[hit >= 0], 1 - other[other >= 0])
    assert {0, 1} <= set(hit.ravel().tolist())


def test_barycentric_weights_give_back_the_place() -> None:
    screen = np.array([[2, 3, 4], [14, 5, 4], [6, 13, 4]], float)
    _, hit, bary = drawn(screen, [[0, 1, 2]], MeshPart.HAIR, 32)
    for y, x in np.argwhere(hit == 0):
        u, v = bary[y, x]
        point = (1 - u - v) * screen[0] + u * screen[1] + v * screen[2]
        assert np.allclose(point[:2], [(x + 0.5) / 2, (y + 0.5) / 2], atol=1e-3)


def test_solids_are_seen_from_one_side_and_sheets_from_both() -> None:
    screen = np.array([[1, 1, 5], [15, 1, 5], [1, 15, 5]], float)
    seen = [
        (drawn(screen, [face], part, 32)[1] == 0).any() for part in (0, 9) for face in ([0, 1, 2], [0, 2, 1])
    ]
    assert seen == [False, True, True, True]


def test_skinning_is_linear_blending(domain: Domain) -> None:
    person = build_pedestrian(draw_appearance(2, "a", domain, 0))
    matrices = np.random.default_rng(0).normal(size=(len(JOINTS), 3, 4)).astype(np.float32)
    out, turned = np.empty_like(person.vertices), np.empty_like(person.vertices)
    skin(person.vertices, person.normals, person.weights, person.influences, matrices, out, turned)
    homogeneous = np.concatenate([person.vertices, np.ones((len(out), 1), np.float32)], 1)
    expected = sum(
        person.weights[:, k, None] * np.einsum("vab,vb->va", matrices[person.influences[:, k]], homogeneous)
        for k in range(4)
    )
    assert np.allclose(out, expected, atol=1e-4)


def test_a_covering_tile_replaces_the_image_and_is_counted() -> None:
    image, owner, lost = (
        np.full((8, 8, 3), 50, np.float32),
        np.full((8, 8), NOTHING, np.int32),
        np.zeros(2, np.int64),
    )
    tile = np.full((4, 4, 4), 200, np.float32)
    tile[..., 3] = 1
    composite(tile, 2, 2, 0.0, 0.0, image, owner, 0, lost)
    composite(tile[:2], 3, 5, 0.0, 0.0, image, owner, 1, lost)
    assert (image[2:6, 2:6] == 200).all()
    assert (image[:2] == 50).all()
    assert lost.tolist() == [3, 0]


def test_half_a_cover_mixes_and_a_tile_beyond_the_edge_is_cut() -> None:
    image, owner, lost = (
        np.full((8, 8, 3), 50, np.float32),
        np.full((8, 8), NOTHING, np.int32),
        np.zeros(1, np.int64),
    )
    tile = np.full((4, 4, 4), 100, np.float32)
    tile[..., 3] = 0.5
    composite(tile, -2, 6, 0.0, 0.0, image, owner, 0, lost)
    assert (image[6:, :2] == 125).all()
    assert (image[:6] == 50).all()
    assert (owner == NOTHING).all()


def test_motion_spreads_a_tile_along_its_way_and_keeps_its_weight() -> None:
    image, owner, lost = (
        np.zeros((9, 15, 3), np.float32),
        np.full((9, 15), NOTHING, np.int32),
        np.zeros(1, np.int64),
    )
    tile = np.zeros((1, 1, 4), np.float32)
    tile[0, 0] = 100, 100, 100, 1
    composite(tile, 7, 4, 4.0, 0.0, image, owner, 0, lost)
    assert image[4, :, 0].sum() == pytest.approx(100)
    assert (image[4, :, 0] > 0).sum() > 3
    assert not image[:4].any()


def test_the_extent_holds_all_points_and_no_more() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    low, high = points.min(0), points.max(0)
    assert extent(points) == (low[0], low[1], high[0], high[1])


def board(x: float, y: float, half: float, low: float, high: float) -> np.ndarray:
    """Corners of an upright rectangle that faces the camera."""
    return np.array(
        [[x - half, y, low], [x + half, y, low], [x + half, y, high], [x - half, y, high]], np.float32
    )


@pytest.mark.parametrize(
    ("shape", "kind", "half", "share"),
    [
        (Shape.BOX, SolidKind.BOX, (0.1, 0.1, 5.0), 0.2 * 6 / 3.9 / 0.8),  # its front is at 3.9 metres
        (Shape.CYLINDER, SolidKind.POLE, (0.1, 0.1, 5.0), 2 * 6 * np.tan(np.arcsin(0.1 / 4)) / 0.8),
        # over the wall, whose top is 1.4 metres high, the ray along its far edge decides
        (Shape.BOX, SolidKind.WALL, (9.0, 0.1, 0.75), (1.5 - 0.1 * 6 / 4.1 - 0.2) / 1.8),
    ],
)
def test_the_counts_say_which_share_of_a_board_a_solid_hides(
    domain: Domain, shape: Shape, kind: SolidKind, half: tuple[float, ...], share: float
) -> None:
    """A board 0.8 metres wide, 1.8 high, at 6 metres; shadows on it grow by 6 / distance of the solid."""
    width, rows, focal, height = 240, 200, 300.0, 1.5
    camera = camera_record(height, 0.0, focal, width, rows)
    record = np.zeros(1, SOLID)
    record["kind"], record["shape"], record["cosine"], record["unit"] = kind, shape, 1, 1
    record["centre"], record["half"] = (0, 4, half[2] - 0.1 if kind == SolidKind.WALL else 1), half
    image, depth = np.zeros((rows, width, 3), np.float32), np.zeros((rows, width), np.float32)
    ground, kinds = np.zeros((rows, width, 2), np.float32), np.zeros((rows, width), np.uint8)
    light = light_record(np.random.default_rng(0), domain.light, indoor=False)
    photograph(record, camera, light, np.ones((2, 3), np.float32), 1, image, depth, ground, kinds)

    corners = board(0.0, 6.0, 0.4, 0.2, 2.0)
    screen = np.empty_like(corners)
    project_points(corners, camera, screen)
    left, top, right, bottom = (int(edge) for edge in extent(screen))
    shape_ = (bottom + 2 - top, right + 2 - left)
    samples, tile = empty_samples(*shape_), np.zeros((*shape_, 4), np.float32)
    faces, parts = np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.full(2, MeshPart.TORSO, np.uint8)
    rasterise(screen, faces, parts, left, top, samples)
    counts = np.zeros(HIDDEN + len(SolidKind), np.int64)
    facing = np.array([0, -1, 0], np.float32)
    mesh = PosedMesh(faces, parts, corners, np.zeros(4, np.float32), np.repeat(facing[None], 4, 0))
    shade(
        mesh, samples, Surroundings(depth, kinds), material(draw_appearance(1, "a", domain, 0)), light,
        1.0, facing, left, top, tile, counts,
    )  # fmt: skip
    whole = (0.8 * focal / 6 * SAMPLES) * (1.8 * focal / 6 * SAMPLES)
    assert counts[0] == pytest.approx(whole, rel=0.03)
    assert counts[1] + counts[HIDDEN + kind] == counts[0]
    assert counts[HIDDEN + kind] / counts[0] == pytest.approx(share, abs=0.03)
    assert tile[..., 3].sum() * SAMPLES**2 == pytest.approx(counts[1])
    assert (tile[tile[..., 3] == 0] == 0).all()


def test_folds_and_light_per_pixel_are_close_to_those_per_sample(domain: Domain) -> None:
    """A tile is the mean of its samples, each shaded separately in an image with one sample per pixel."""
    screen = np.array([[0, 0, 5], [40, 0, 5], [0, 60, 5]], np.float32)
    canonical = np.array([[-0.2, -0.1, 0.7], [0.2, -0.1, 0.7], [-0.2, -0.1, 0.1]], np.float32)
    light, person = (
        light_record(np.random.default_rng(0), domain.light, indoor=False),
        material(draw_appearance(3, "a", domain, 0)),
    )
    facing = np.array([0, -1, 0], np.float32)
    whole = shaded(screen, canonical, facing, light, person, (60, 40))
    fine = shaded(screen * np.array([2, 2, 1], np.float32), canonical, facing, light, person, (120, 80))
    mean = fine.reshape(60, 2, 40, 2, 4).mean((1, 3))
    inner = (whole[..., 3] == 1) & (mean[..., 3] == 1)
    assert inner.sum() > 1000
    assert np.abs(whole - mean)[inner].mean() < 3  # grey levels; means of light and of display differ
    assert np.abs(whole[..., 3] - mean[..., 3]).max() <= 0.5


def shaded(
    screen: np.ndarray, canonical: np.ndarray, facing: np.ndarray, light: np.ndarray, person: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:  # fmt: skip
    """The tile of one triangle of a coat with nothing in front of it."""
    samples, tile = empty_samples(*shape), np.zeros((*shape, 4), np.float32)
    faces, parts = np.array([[0, 1, 2]], np.int32), np.full(1, MeshPart.COAT, np.uint8)
    rasterise(screen, faces, parts, 0, 0, samples)
    mesh = PosedMesh(faces, parts, canonical, np.zeros(3, np.float32), np.repeat(facing[None], 3, 0))
    surroundings = Surroundings(np.full(shape, FAR), np.zeros(shape, np.uint8))
    shade(
        mesh, samples, surroundings, person, light, 1.0, facing, 0, 0, tile,
        np.zeros(HIDDEN + len(SolidKind), np.int64),
    )  # fmt: skip
    return tile
