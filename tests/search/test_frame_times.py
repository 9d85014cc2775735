"""Times of tracklets: those of the film's time stamps, whatever its rate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sttreid.search.frame_times import frame_times
from sttreid.search.videos import embed_videos
from tests.search.walkers import film
from tests.sections import small_network

STEPS = [40] * 9 + [200] * 10 + [7000] + [40] * 3  # milliseconds: light, dusk, nothing moves, light
TIMES = [0, *np.cumsum(STEPS).tolist()]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_film_of_a_variable_rate_has_the_times_of_its_stamps(
    suffix: str, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    hall = write_video(tmp_path / f"hall.{suffix}", film(len(TIMES)), times=TIMES)
    spans = {"1": (1, 6), "2": (11, 20), "3": (21, 24)}
    lines = [f"{f},{t},9,9,16,64" for t, (low, high) in spans.items() for f in range(low, high + 1)]
    (tmp_path / "hall.txt").write_text("\n".join(lines))
    table = embed_videos(small_network().eval(), [hall]).tracklets.set_index("track")
    for track, (low, high) in spans.items():
        assert table["start"][track] == pytest.approx(TIMES[low - 1] / 1000)
        step = 0.04
        assert table["end"][track] == pytest.approx(TIMES[high - 1] / 1000 + step)


def test_a_constant_rate_keeps_its_step_through_rounded_stamps(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    """Matroska rounds to milliseconds: the steps of 12 frames a second are 83 and 84."""
    times = frame_times(write_video(tmp_path / "hall.mkv", film(25)))
    frames = np.array([1, 13, 25])
    np.testing.assert_allclose(times.starts(frames), [0, 1, 2], atol=1e-9)
    np.testing.assert_allclose(times.ends(frames), np.array([0, 1, 2]) + 1 / 12, atol=1e-9)


def test_images_have_25_frames_a_second(tmp_path: Path) -> None:
    times = frame_times(tmp_path)
    np.testing.assert_allclose(times.starts(np.array([1, 26])), [0, 1])
    np.testing.assert_allclose(times.ends(np.array([1, 25])), [0.04, 1])
