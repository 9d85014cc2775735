import numpy as np

from sttreid.config.domain import Domain
from sttreid.simulate.optics import camera_record, display, light_record, pixels
from sttreid.simulate.raster import project_points


def test_a_point_straight_ahead_is_in_the_middle_of_the_image() -> None:
    camera = camera_record(3.0, np.arctan2(2.0, 10.0), 500.0, 640, 360)
    column, row, depth = pixels(camera, np.array([0.0, 10.0, 1.0]))
    assert np.allclose([column, row, depth], [320, 180, np.hypot(10, 2)], atol=1e-3)


def test_columns_run_to_the_right_and_rows_down() -> None:
    camera = camera_record(3.0, 0.1, 500.0, 640, 360)
    here, right, below = pixels(camera, np.array([[0.0, 10, 1], [1, 10, 1], [0, 10, 0]]))
    assert right[0] > here[0]
    assert below[1] > here[1]


def test_the_compiled_projection_is_the_same() -> None:
    camera = camera_record(2.5, 0.2, 480.0, 320, 200)
    points = np.random.default_rng(0).uniform((-3, 4, 0), (3, 12, 2), (50, 3)).astype(np.float32)
    out = np.empty_like(points)
    project_points(points, camera, out)
    assert np.allclose(out, pixels(camera, points), atol=1e-2)


def test_display_applies_gains_exposure_and_gamma(domain: Domain) -> None:
    light = light_record(np.random.default_rng(1), domain.light, indoor=False)
    light["gains"], light["exposure"], light["saturation"] = (1.0, 0.5, 2.0), 0.8, 1.0
    light["curve"] = 255 * np.linspace(0, 1, 1025) ** 0.5
    colour = display(0.3, 0.3, 0.9, light[0])
    assert np.allclose(colour, 255 * np.sqrt([0.24, 0.12, 1.0]), atol=0.3)


def test_without_saturation_every_colour_is_grey(domain: Domain) -> None:
    light = light_record(np.random.default_rng(1), domain.light, indoor=False)
    light["saturation"] = 0.0
    red, green, blue = display(0.1, 0.5, 0.3, light[0])
    assert red == green == blue
