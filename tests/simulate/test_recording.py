from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.recording import SensorModel, VideoWriter
from sttreid.simulate.scene import Scene, draw_scene

HEIGHT, WIDTH = 36, 64


@pytest.fixture
def scene(domain: Domain, scale: Scale) -> Scene:
    return replace(draw_scene(np.random.default_rng(0), domain, scale), noise=0.0, soft=0.0, vignette=0.0)


def planes(scene: Scene, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    out = SensorModel(np.random.default_rng(0), scene, HEIGHT, WIDTH).expose(image.astype(np.float32)).ravel()
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


def test_colours_keep_their_position(scene: Scene) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3))
    image[10:12, 20:24, 2] = 255
    _, blue, red = planes(scene, image)
    assert {tuple(position) for position in np.argwhere(blue > 200)} == {(5, 10), (5, 11)}
    assert not (red > 128).any()


def test_noise_has_the_given_strength_and_changes_between_frames(scene: Scene) -> None:
    sensor = SensorModel(np.random.default_rng(0), replace(scene, noise=4.0), HEIGHT, WIDTH)
    grey = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    first = sensor.expose(grey)[:HEIGHT].astype(float)
    second = sensor.expose(grey)[:HEIGHT].astype(float)
    assert first.std() == pytest.approx(4, rel=0.15)
    assert (first - second).std() > 4


def test_soft_focus_keeps_the_mean_and_lowers_the_contrast(scene: Scene) -> None:
    image = np.random.default_rng(1).uniform(80, 160, (HEIGHT, WIDTH, 1)).repeat(3, 2)
    sharp, soft = planes(scene, image)[0], planes(replace(scene, soft=0.6), image)[0]
    assert soft.mean() == pytest.approx(sharp.mean(), abs=1)
    assert soft.std() < 0.7 * sharp.std()


def test_a_vignette_darkens_the_corners(scene: Scene) -> None:
    luma = planes(replace(scene, vignette=0.18), np.full((HEIGHT, WIDTH, 3), 200))[0]
    assert luma[0, 0] < 0.75 * luma[HEIGHT // 2, WIDTH // 2]


FRAMES = 70


def write(path: Path, frames: int = FRAMES) -> None:
    """A white column that moves two pixels per frame over grey; the width is one whose bytes repeat."""
    with VideoWriter(path, 256, 96, 12, 20, "fast", 250) as video:
        for number in range(frames):
            planes = np.full((144, 256), 128, np.uint8)
            planes[:96, 2 * number : 2 * number + 8] = 235
            video.write(planes)


def test_every_frame_is_decoded_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    for number, frame in enumerate(frames):
        assert abs(frame.mean(0).argmax() - (2 * number + 4)) <= 4


def test_the_rate_is_constant(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(np.diff(np.array(times, float)), 1 / 12, atol=1e-4)


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_first_error_is_not_hidden_by_closing(tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "a.mp4", 256, 96, 12, 20, "fast", 250):
            raise KeyError("the cause")

    with pytest.raises(KeyError, match="the cause"):
        fail()
