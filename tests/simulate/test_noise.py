import numpy as np

from sttreid.simulate.noise import frac, lattice, smooth


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
