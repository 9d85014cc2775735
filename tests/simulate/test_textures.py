import numpy as np
import pytest

from sttreid.simulate.rays import SOLID
from sttreid.simulate.textures import Texture, frac, lattice, paint, smooth

WHITE, BLACK = (0.8, 0.8, 0.8), (0.1, 0.1, 0.1)


def surface(texture: Texture, unit: float = 1.0) -> np.void:
    solid = np.zeros(1, SOLID)
    solid["texture"], solid["seed"], solid["unit"] = texture, 3, unit
    solid["first"], solid["second"] = WHITE, BLACK
    return solid[0]


def brightness(texture: Texture, u: float, v: float, unit: float = 1.0) -> float:
    return float(np.mean(paint(surface(texture, unit), u, v)))


@pytest.mark.parametrize("texture", list(Texture))
def test_every_surface_varies_and_is_a_reflectance(texture: Texture) -> None:
    positions = np.random.default_rng(0).uniform(-9, 9, (400, 2))
    colours = np.array([paint(surface(texture), u, v) for u, v in positions])
    assert colours.min() >= 0
    assert colours.max() <= 1.6
    assert colours.std() > 0.01
    assert np.array_equal(colours[7], paint(surface(texture), *positions[7]))


def test_the_lines_lie_where_the_unit_says() -> None:
    """The second colour: joints of tiles along their edges, every other stripe, every other square."""
    for unit in (1.0, 0.4):
        assert brightness(Texture.TILES, 0.02 * unit, 0.5 * unit, unit) < 0.2
        assert brightness(Texture.TILES, 0.5 * unit, 0.5 * unit, unit) > 0.6
        stripes = [brightness(Texture.STRIPES, (k + 0.25) * unit / 2, 0.3, unit) > 0.4 for k in range(4)]
        assert stripes == [False, True, False, True]
        squares = [brightness(Texture.CHESS, (k + 0.5) * unit, 0.5 * unit, unit) > 0.4 for k in range(4)]
        assert squares == [False, True, False, True]


def test_windows_stand_in_their_walls() -> None:
    wall = brightness(Texture.WINDOWS, 0.1, 0.1)
    assert wall == pytest.approx(0.8)
    assert brightness(Texture.WINDOWS, 0.3, 0.5) < 0.2


def test_frac_is_never_negative() -> None:
    assert [frac(x) for x in (-1.25, -1.0, 0.0, 0.75, 3.5)] == [0.75, 0.0, 0.0, 0.75, 0.5]


def test_lattice_noise_is_even_and_between_zero_and_one() -> None:
    values = np.array([lattice(i, j, 5) for i in range(-30, 30) for j in range(-30, 30)])
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02
    assert len(np.unique(values)) > 3000


def test_smooth_noise_meets_the_lattice_and_does_not_jump() -> None:
    assert np.isclose(smooth(4.0, -7.0, 2), lattice(4, -7, 2))
    steps = np.diff([smooth(x, 0.3, 2) for x in np.arange(-3, 3, 0.01)])
    assert np.abs(steps).max() < 0.03
