import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.body import Z_ANKLE, Z_KNEE, MeshPart
from sttreid.simulate.cloth import MATERIAL, PATTERNS, Logo, Pattern, albedo, folds, pattern, printed
from sttreid.simulate.pedestrian import material
from sttreid.simulate.wardrobe import draw_appearance


@pytest.fixture
def plain() -> np.ndarray:
    """Red shirt, blue trousers, green skin; no pattern, print or fold."""
    record = np.zeros(1, MATERIAL)
    record["top"], record["bottom"], record["skin"] = (1, 0, 0), (0, 0, 1), (0, 1, 0)
    record["sleeve"], record["hem"], record["length"] = 0.5, 0.1, Z_ANKLE
    record["shoe"], record["shoe_top"], record["sock_top"] = (0.5, 0.5, 0), Z_ANKLE - 0.035, -9
    return record


def colour(part: MeshPart, point: tuple[float, float, float], limb: float, record: np.ndarray) -> list[float]:
    return list(albedo(part, *point, limb, record[0])[0])


def test_garments_end_where_the_look_says(plain: np.ndarray) -> None:
    assert colour(MeshPart.TORSO, (0.05, -0.1, 0.3), 0, plain) == [1, 0, 0]
    assert colour(MeshPart.TORSO, (0.05, -0.1, 0.05), 0, plain) == [0, 0, 1]
    assert colour(MeshPart.UPPER_ARM, (0.3, 0, 0.5), 0.4, plain) == [1, 0, 0]
    assert colour(MeshPart.FOREARM, (0.5, 0, 0.3), 1.4, plain) == [0, 1, 0]
    assert colour(MeshPart.SHANK, (0.1, 0, Z_KNEE - 0.1), 1.2, plain) == [0, 0, 1]
    assert colour(MeshPart.FOOT, (0.1, 0, Z_ANKLE - 0.05), 2.0, plain) == [0.5, 0.5, 0]


def test_shorts_leave_the_shank_bare(plain: np.ndarray) -> None:
    plain["length"] = Z_KNEE
    assert colour(MeshPart.SHANK, (0.1, 0, Z_KNEE - 0.1), 1.2, plain) == [0, 1, 0]


def test_a_print_is_on_the_chest_and_not_on_the_back(plain: np.ndarray) -> None:
    plain["logo"], plain["logo_height"], plain["logo_size"], plain["logo_colour"] = (
        Logo.DISC,
        0.5,
        0.1,
        (1, 1, 1),
    )
    assert colour(MeshPart.TORSO, (0.0, -0.1, 0.5), 0, plain) == [1, 1, 1]
    assert colour(MeshPart.TORSO, (0.0, 0.1, 0.5), 0, plain) == [1, 0, 0]


def test_every_pattern_but_plain_mixes_both_colours() -> None:
    points = [
        (u, v, y)
        for u in np.arange(-0.2, 0.2, 0.011)
        for v in np.arange(-0.1, 0.7, 0.013)
        for y in (-0.1, 0.0)
    ]
    for kind in [*range(1, PATTERNS), int(Pattern.SIDE_STRIPE)]:
        shares = [pattern(kind, u, v, y, 15.0, 0.3, 4) for u, v, y in points]
        assert 0.0 <= min(shares) < 0.3
        assert 0.7 < max(shares) <= 1.0
    assert not any(pattern(0, u, v, y, 15.0, 0.3, 4) for u, v, y in points)


def test_every_print_covers_some_of_its_square() -> None:
    for kind in list(Logo)[1:]:
        covered = np.mean(
            [printed(int(kind), x, z, 3) for x in np.arange(-2, 2, 0.1) for z in np.arange(-2, 2, 0.1)]
        )
        assert 0.05 < covered < 0.6


def test_reflectances_of_random_appearances_are_physical(domain: Domain) -> None:
    rng = np.random.default_rng(0)
    for identity in range(1, 15):
        record = material(draw_appearance(identity, "a", domain, 0))[0]
        for _ in range(300):
            part = int(rng.integers(16))
            point = rng.uniform((-0.3, -0.2, -0.8), (0.3, 0.2, 1.0))
            reflected, woven = albedo(part, *point, rng.uniform(0, 2), record)
            out = np.array(reflected) * (folds(*point, record) if woven else 1)
            assert np.isfinite(out).all()
            assert out.min() >= 0
            assert out.max() < 1.6


def test_only_garments_are_cloth(plain: np.ndarray) -> None:
    assert albedo(MeshPart.TORSO, 0.05, -0.1, 0.3, 0, plain[0])[1]
    assert albedo(MeshPart.SHANK, 0.1, 0, Z_KNEE - 0.1, 1.2, plain[0])[1]
    assert not albedo(MeshPart.HAND, 0.6, 0, 0.2, 2, plain[0])[1]
    assert not albedo(MeshPart.FOOT, 0.1, 0, Z_ANKLE - 0.05, 2, plain[0])[1]


def test_folds_vary_around_one_with_the_strength_of_the_fabric(plain: np.ndarray) -> None:
    points = np.random.default_rng(0).uniform((-0.2, -0.2, 0.2), (0.2, 0.2, 0.7), (2000, 3))
    plain["fabric"] = 0.2
    bright = np.array([folds(*point, plain[0]) for point in points])
    assert bright.mean() == pytest.approx(1, abs=0.05)
    assert 0.02 < bright.std() < 0.2
    assert np.abs(bright - 1).max() <= 0.2 * (0.8 + 0.4)
    plain["fabric"] = 0
    assert folds(*points[0], plain[0]) == 1
