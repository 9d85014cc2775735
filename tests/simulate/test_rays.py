from dataclasses import dataclass

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.optics import camera_record, light_record
from sttreid.simulate.rays import (
    MISS,
    OPEN_AIR,
    SOLID,
    Shape,
    SolidKind,
    meet,
    photograph,
    sunlit,
)
from sttreid.simulate.textures import Texture


def solid(shape: Shape, centre: tuple[float, ...], half: tuple[float, ...], yaw: float = 0.0) -> np.ndarray:
    record = np.zeros(1, SOLID)
    record["shape"], record["centre"], record["half"] = shape, centre, half
    record["cosine"], record["sine"], record["unit"], record["first"] = np.cos(yaw), np.sin(yaw), 1, 0.5
    return record


def inside(record: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The definition of each solid, for points [N, 3]."""
    centre = points - record["centre"][0]
    c, s = record["cosine"][0], record["sine"][0]
    x, y, z = centre.T
    turned = np.stack([c * x + s * y, -s * x + c * y, z])
    x, y, z = turned / record["half"][0][:, None]
    if record["shape"][0] == Shape.BOX:
        return np.maximum(np.maximum(abs(x), abs(y)), abs(z)) <= 1
    if record["shape"][0] == Shape.CYLINDER:
        return (x**2 + y**2 <= 1) & (abs(z) <= 1)
    return x**2 + y**2 + z**2 <= 1


@pytest.mark.parametrize(
    "record",
    [
        solid(Shape.BOX, (0.5, 5, 1), (1.0, 0.5, 0.8), 0.4),
        solid(Shape.CYLINDER, (0.2, 4, 1), (0.6, 0.6, 4.0)),
        solid(Shape.ELLIPSOID, (-0.3, 5, 1), (1.2, 0.7, 0.9), -0.8),
    ],
)
def test_a_ray_meets_a_solid_where_it_first_is_inside(record: np.ndarray) -> None:
    rng, origin = np.random.default_rng(0), np.array([0.0, 0.0, 1.2])
    hits = 0
    for _ in range(200):
        ray = np.array([rng.uniform(-0.4, 0.4), 1.0, rng.uniform(-0.3, 0.3)])
        distance, _, *normal = meet(record[0], *origin, *ray)
        steps = np.arange(0.1, 12, 0.01)
        along = steps[inside(record, origin + steps[:, None] * ray)]
        if distance == MISS:
            assert len(along) < 8  # a grazing ray may be inside between two steps
            continue
        hits += 1
        assert distance == pytest.approx(along[0] if len(along) else distance, abs=0.011)
        assert np.linalg.norm(normal) == pytest.approx(1)
        assert np.array(normal) @ ray <= 0
    assert hits > 30


def test_the_ground_is_met_only_from_above() -> None:
    ground = solid(Shape.GROUND, (0, 0, 0), (1, 1, 1))
    assert meet(ground[0], 0.0, 0.0, 2.0, 0.0, 1.0, -0.5)[0] == pytest.approx(4)
    assert meet(ground[0], 0.0, 0.0, 2.0, 0.0, 1.0, 0.5)[0] == MISS


def test_a_wall_throws_a_shadow_away_from_the_sun() -> None:
    scene = np.concatenate(
        [solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), solid(Shape.BOX, (0, 0, 2), (3, 0.2, 2))]
    )
    towards = np.array([0.0, 0.8, 0.6])
    assert sunlit(scene, np.array([0.0, -1.0, 0.1]), towards) == 0
    assert sunlit(scene, np.array([0.0, 1.0, 0.1]), towards) == 1


@dataclass(frozen=True)
class Photograph:
    image: np.ndarray
    depth: np.ndarray
    ground: np.ndarray
    kinds: np.ndarray


def photographed(scene: np.ndarray, camera: np.ndarray, domain: Domain, side: int) -> Photograph:
    light = light_record(np.random.default_rng(0), domain.light, indoor=False)
    shape = (side, side)
    still = Photograph(
        np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32),
        np.zeros((*shape, 2), np.float32), np.full(shape, 99, np.uint8),
    )  # fmt: skip
    white = np.ones((2, 3), np.float32)
    photograph(scene, camera, light, white, 1, still.image, still.depth, still.ground, still.kinds)
    return still


def test_the_photograph_shows_ground_wall_and_sky_where_they_are(domain: Domain) -> None:
    scene = np.concatenate(
        [solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), solid(Shape.BOX, (0, 10.5, 1), (20, 0.5, 1))]
    )
    still = photographed(scene, camera_record(2.0, 0.0, 40.0, 40, 40), domain, 40)
    assert still.depth[5, 20] == np.float32(MISS)
    assert still.depth[22, 20] == pytest.approx(10, abs=0.01)
    assert still.ground[22, 20, 0] == np.float32(OPEN_AIR)
    assert still.ground[35, 20] == pytest.approx(
        [0.5 * still.depth[35, 20] / 40, still.depth[35, 20]], abs=0.01
    )
    assert still.image[5].min() == 255
    assert 0 < still.image[22].max() < 255


@pytest.mark.parametrize("aside", [-1.0, 0.3])
def test_a_box_covers_the_pixels_that_the_pinhole_formula_gives(domain: Domain, aside: float) -> None:
    """A level camera: column = centre + focal * x / distance, row = centre + focal * (height - z) / distance.

    The edges of a box that is straight ahead are those of its front; those of a box further aside include
    its rear edges.
    """
    focal, height, side = 100.0, 1.0, 120
    x, front, back, half, low, high = aside, 4.0, 5.0, 0.4, 0.5, 1.7
    box = solid(Shape.BOX, (x, (front + back) / 2, (low + high) / 2), (half, 0.5, (high - low) / 2))
    box["kind"] = SolidKind.BOX
    scene = np.concatenate([solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), box])
    still = photographed(scene, camera_record(height, 0.0, focal, side, side), domain, side)
    covered = np.argwhere(still.kinds == SolidKind.BOX)
    left = side / 2 + min(focal * (x - half) / front, focal * (x - half) / back)
    right = side / 2 + max(focal * (x + half) / front, focal * (x + half) / back)
    top, bottom = side / 2 + focal * (height - high) / front, side / 2 + focal * (height - low) / front
    (first_row, first_column), (last_row, last_column) = covered.min(0), covered.max(0)
    assert [first_column, last_column + 1] == pytest.approx([left, right], abs=1)
    assert [first_row, last_row + 1] == pytest.approx([top, bottom], abs=1)

    inner = slice(int(top) + 2, int(bottom) - 1)
    edges = [side / 2 + focal * (x + end) / front for end in (-half, half)]
    face = still.depth[inner, int(edges[0]) + 2 : int(edges[1]) - 1]
    assert np.allclose(face, front, atol=1e-4)
    assert (still.kinds[inner, int(edges[0]) + 2 : int(edges[1]) - 1] == SolidKind.BOX).all()
    assert (still.kinds[still.depth > 6] == SolidKind.OPEN).all()


def test_bounding_spheres_miss_no_solid(domain: Domain) -> None:
    """Against rays that try all solids, without the balls around them."""
    rng, parts = np.random.default_rng(3), [solid(Shape.GROUND, (0, 0, 0), (1, 1, 1))]
    for number in range(30):
        shape = Shape.BOX if number % 3 == 0 else (Shape.CYLINDER if number % 3 == 1 else Shape.ELLIPSOID)
        centre, half = rng.uniform((-4, -1, 0), (4, 12, 3)), rng.uniform(0.1, 1.2, 3)
        parts.append(solid(shape, tuple(centre), (half[0], half[0], half[2]), rng.uniform(0, 3)))
        parts[-1]["kind"] = number % 7 + 1
    scene, side, focal = np.concatenate(parts), 48, 40.0
    camera = camera_record(2.5, 0.2, focal, side, side)
    still = photographed(scene, camera, domain, side)
    turn, origin = camera["turn"][0].astype(float), camera["position"][0].astype(float)
    for y, x in rng.integers(0, side, (300, 2)):
        right, down = (x + 0.5 - side / 2) / focal, (y + 0.5 - side / 2) / focal
        ray = turn[0] * right + turn[1] * down + turn[2]
        distances = [d if 0.05 < (d := meet(record, *origin, *ray)[0]) < 150 else MISS for record in scene]
        assert still.depth[y, x] == pytest.approx(min(distances), rel=1e-5)
        nearest = scene["kind"][int(np.argmin(distances))] if min(distances) < MISS else SolidKind.OPEN
        assert still.kinds[y, x] == nearest


def test_leaves_are_torn_at_the_outline_and_whole_in_the_middle(domain: Domain) -> None:
    bush = solid(Shape.ELLIPSOID, (0, 6, 1), (1, 1, 1))
    bush["kind"], bush["texture"], bush["seed"] = SolidKind.BUSH, Texture.LEAVES, 7
    still = photographed(bush, camera_record(1.0, 0.0, 200.0, 100, 100), domain, 100)
    y, x = np.mgrid[:100, :100] + 0.5 - 50
    away = np.hypot(x, y) / (200 / np.sqrt(6**2 - 1))  # 1 on the outline of the ball
    seen = still.kinds == SolidKind.BUSH
    assert seen[away < 0.4].all()
    assert not seen[away > 1.02].any()
    assert 0.1 < seen[(away > 0.85) & (away < 1)].mean() < 0.9
