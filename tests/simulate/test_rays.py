import numpy as np
import pytest

from sttreid.domain import Domain
from sttreid.simulate.optics import camera_record, light_record
from sttreid.simulate.rays import MISS, OPEN_AIR, SOLID, Shape, meet, photograph, sunlit


def solid(shape: Shape, centre: tuple[float, ...], half: tuple[float, ...], yaw: float = 0.0) -> np.ndarray:
    record = np.zeros(1, SOLID)
    record["shape"], record["centre"], record["half"] = shape, centre, half
    record["cosine"], record["sine"], record["unit"], record["first"] = np.cos(yaw), np.sin(yaw), 1, 0.5
    return record


def inside(record: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The definition of each solid, for points [N, 3]."""
    place = points - record["centre"][0]
    c, s = record["cosine"][0], record["sine"][0]
    turned = np.stack([c * place[:, 0] + s * place[:, 1], -s * place[:, 0] + c * place[:, 1], place[:, 2]])
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
    rng, origin, normal = np.random.default_rng(0), np.array([0.0, 0.0, 1.2]), np.zeros(3)
    hits = 0
    for _ in range(200):
        ray = np.array([rng.uniform(-0.4, 0.4), 1.0, rng.uniform(-0.3, 0.3)])
        distance, _ = meet(record[0], origin, ray, normal)
        steps = np.arange(0.1, 12, 0.01)
        along = steps[inside(record, origin + steps[:, None] * ray)]
        if distance == MISS:
            assert len(along) < 8  # a grazing ray may be inside between two steps
            continue
        hits += 1
        assert distance == pytest.approx(along[0] if len(along) else distance, abs=0.011)
        assert np.linalg.norm(normal) == pytest.approx(1)
        assert normal @ ray <= 0
    assert hits > 30


def test_the_ground_is_met_only_from_above() -> None:
    ground, normal = solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), np.zeros(3)
    assert meet(ground[0], np.array([0.0, 0, 2]), np.array([0.0, 1, -0.5]), normal)[0] == pytest.approx(4)
    assert meet(ground[0], np.array([0.0, 0, 2]), np.array([0.0, 1, 0.5]), normal)[0] == MISS


def test_a_wall_throws_a_shadow_away_from_the_sun() -> None:
    scene = np.concatenate(
        [solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), solid(Shape.BOX, (0, 0, 2), (3, 0.2, 2))]
    )
    towards = np.array([0.0, 0.8, 0.6])
    assert sunlit(scene, np.array([0.0, -1.0, 0.1]), towards) == 0
    assert sunlit(scene, np.array([0.0, 1.0, 0.1]), towards) == 1


def test_the_photograph_shows_ground_wall_and_sky_where_they_are(domain: Domain) -> None:
    scene = np.concatenate(
        [solid(Shape.GROUND, (0, 0, 0), (1, 1, 1)), solid(Shape.BOX, (0, 10.5, 1), (20, 0.5, 1))]
    )
    camera = camera_record(2.0, 0.0, 40.0, 40, 40)
    light = light_record(np.random.default_rng(0), domain.light, indoor=False)
    picture, depth, ground = (
        np.zeros((40, 40, 3), np.float32),
        np.zeros((40, 40), np.float32),
        np.zeros((40, 40, 2), np.float32),
    )
    photograph(scene, camera, light, np.ones((2, 3), np.float32), 1, picture, depth, ground)
    assert depth[5, 20] == np.float32(MISS)
    assert depth[22, 20] == pytest.approx(10, abs=0.01)
    assert ground[22, 20, 0] == np.float32(OPEN_AIR)
    assert ground[35, 20] == pytest.approx([0.5 * depth[35, 20] / 40, depth[35, 20]], abs=0.01)
    assert picture[5].min() == 255
    assert 0 < picture[22].max() < 255
