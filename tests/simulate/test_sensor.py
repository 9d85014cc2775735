from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.scene import Scene, draw_scene
from sttreid.simulate.sensor import Sensor

HEIGHT, WIDTH = 36, 64


@pytest.fixture
def scene(domain: Domain, scale: Scale) -> Scene:
    return replace(draw_scene(np.random.default_rng(0), domain, scale), noise=0.0, soft=0.0, vignette=0.0)


def planes(scene: Scene, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    out = Sensor(np.random.default_rng(0), scene, HEIGHT, WIDTH).expose(picture.astype(np.float32)).ravel()
    luma, rest = out[: HEIGHT * WIDTH].reshape(HEIGHT, WIDTH), out[HEIGHT * WIDTH :]
    blue, red = rest.reshape(2, HEIGHT // 2, WIDTH // 2)
    return luma.astype(int), blue.astype(int), red.astype(int)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((0, 0, 0), (16, 128, 128)), ((255, 255, 255), (235, 128, 128)), ((255, 0, 0), (82, 90, 240))],
)
def test_primaries_become_the_planes_of_bt601(
    scene: Scene, rgb: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    for plane, value in zip(planes(scene, np.full((HEIGHT, WIDTH, 3), rgb)), expected, strict=True):
        assert np.abs(plane - value).max() <= 2  # the exposure flickers a little


def test_colours_stay_in_their_place(scene: Scene) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3))
    picture[10:12, 20:24, 2] = 255
    _, blue, red = planes(scene, picture)
    assert {tuple(place) for place in np.argwhere(blue > 200)} == {(5, 10), (5, 11)}
    assert not (red > 128).any()


def test_noise_has_the_strength_asked_for_and_changes_from_frame_to_frame(scene: Scene) -> None:
    sensor = Sensor(np.random.default_rng(0), replace(scene, noise=4.0), HEIGHT, WIDTH)
    grey = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    first = sensor.expose(grey)[:HEIGHT].astype(float)
    second = sensor.expose(grey)[:HEIGHT].astype(float)
    assert first.std() == pytest.approx(4, rel=0.15)
    assert (first - second).std() > 4


def test_soft_focus_keeps_the_mean_and_lowers_the_contrast(scene: Scene) -> None:
    picture = np.random.default_rng(1).uniform(80, 160, (HEIGHT, WIDTH, 1)).repeat(3, 2)
    sharp, soft = planes(scene, picture)[0], planes(replace(scene, soft=0.6), picture)[0]
    assert soft.mean() == pytest.approx(sharp.mean(), abs=1)
    assert soft.std() < 0.7 * sharp.std()


def test_a_vignette_darkens_the_corners(scene: Scene) -> None:
    luma = planes(replace(scene, vignette=0.18), np.full((HEIGHT, WIDTH, 3), 200))[0]
    assert luma[0, 0] < 0.75 * luma[HEIGHT // 2, WIDTH // 2]
