from pathlib import Path

import av
import numpy as np
import pytest

from sttreid.simulate.video import VideoWriter

FRAMES = 70


def write(path: Path, frames: int = FRAMES) -> None:
    """A white column that moves two pixels a frame over grey."""
    with VideoWriter(path, 160, 96, 12, 20, "fast", 250) as video:
        for number in range(frames):
            planes = np.full((144, 160), 128, np.uint8)
            planes[:96, 2 * number : 2 * number + 8] = 235
            video.write(planes)


def test_every_frame_comes_back_in_its_place(tmp_path: Path) -> None:
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


def test_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_first_error_is_not_hidden_by_closing(tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "a.mp4", 160, 96, 12, 20, "fast", 250):
            raise KeyError("the cause")

    with pytest.raises(KeyError, match="the cause"):
        fail()
