"""Boxes that are some frames early or late are noticed by the motion of what they show."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.camera_videos import Camera
from sttreid.data.films import examine
from sttreid.data.frame_offset import EARLY, FEWEST, LATE, Sample, choose, judge, track_offsets

Frame = NDArray[np.uint8]
FRAMES, WIDTH, HEIGHT = 40, 320, 400
PEOPLE = 16


def walkers(seed: int = 0) -> tuple[list[Frame], pd.DataFrame]:
    """Noisy rectangles that walk to and fro in lanes of their own over a noisy ground, and their boxes."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(90, 130, (HEIGHT, WIDTH, 3), np.uint8)
    clothes = rng.integers(0, 256, (PEOPLE, 20, 24, 3), np.uint8)
    frames, rows = [], []
    for frame in range(1, FRAMES + 1):
        image = ground.copy()
        for person in range(PEOPLE):
            step = (2 + person % 4) * (frame - 1)
            left = 20 + step if person % 2 else WIDTH - 44 - step
            top = 2 + 24 * person
            image[top : top + 20, left : left + 24] = clothes[person]
            rows.append((frame, person, left + rng.normal(0, 0.3), float(top), 24.0, 20.0))
        frames.append(image)
    return frames, pd.DataFrame(rows, columns=["frame", "identity", "left", "top", "width", "height"])


def shifted(boxes: pd.DataFrame, frames: int) -> pd.DataFrame:
    """The boxes, as if their numbers were higher; those outside of the film are left out."""
    moved = boxes.assign(frame=boxes["frame"] + frames)
    return moved[moved["frame"].between(1, FRAMES)]


def offsets(video: Path, boxes: pd.DataFrame) -> NDArray[np.float64]:
    camera = Camera(1, video, video.with_suffix(".txt"), FRAMES)
    return track_offsets(Sample(camera, boxes, (WIDTH, HEIGHT)))


@pytest.fixture(scope="module")
def film(
    tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]
) -> tuple[Path, pd.DataFrame]:
    frames, boxes = walkers()
    return write_video(tmp_path_factory.mktemp("film") / "c1.mp4", frames), boxes


@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_the_shift_of_the_boxes_is_measured(film: tuple[Path, pd.DataFrame], shift: int) -> None:
    video, boxes = film
    found = offsets(video, shifted(boxes, shift))
    assert len(found) >= FEWEST
    assert np.median(found) == pytest.approx(-shift, abs=0.3)
    remark, warning = judge(found, 1)
    assert remark is not None
    assert (warning is None) == (shift == 0)


def test_the_first_frame_that_would_fit_is_named(film: tuple[Path, pd.DataFrame]) -> None:
    video, boxes = film  # a tracker that counts from 0, read as if it counted from 1
    _, warning = judge(offsets(video, shifted(boxes, -1)), 1)
    assert warning is not None
    assert "first_frame" in warning
    assert "0 would fit" in warning


def test_images_are_measured_too(tmp_path: Path) -> None:
    frames, boxes = walkers(1)
    folder = tmp_path / "c1"
    folder.mkdir()
    for number, image in enumerate(frames, 1):
        Image.fromarray(image).save(folder / f"{number:06d}.png")
    assert np.median(offsets(folder, boxes)) == pytest.approx(0, abs=0.3)


def test_nothing_is_said_of_boxes_that_do_not_move(film: tuple[Path, pd.DataFrame]) -> None:
    video, boxes = film
    still = boxes.assign(left=50.0)
    camera = Camera(1, video, video, FRAMES)
    assert choose([Sample(camera, still, (WIDTH, HEIGHT))]) == []
    assert len(offsets(video, still)) == 0
    assert judge(np.empty(0), 1) == (None, None)


def test_nothing_is_said_of_a_film_that_cannot_be_decoded(
    tmp_path: Path, film: tuple[Path, pd.DataFrame]
) -> None:
    (tmp_path / "c1.mp4").write_bytes(b"no film")
    assert len(offsets(tmp_path / "c1.mp4", film[1])) == 0


@pytest.mark.parametrize("degrees", [90, 180])
def test_nothing_is_said_of_a_film_that_is_shown_turned(
    tmp_path: Path, film: tuple[Path, pd.DataFrame], degrees: int
) -> None:
    with av.open(str(film[0])) as one, av.open(str(tmp_path / "c1.mp4"), "w") as two:
        stream = two.add_stream_from_template(one.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in one.demux(video=0):
            if packet.size:
                packet.stream = stream
                two.mux(packet)
    assert examine(tmp_path / "c1.mp4").turns
    assert len(offsets(tmp_path / "c1.mp4", film[1])) == 0


def test_single_tracks_beyond_the_limits_are_no_reason_to_warn() -> None:
    inside = np.full(FEWEST, (EARLY + LATE) / 2)
    assert judge(np.append(inside, [9.0, -9.0]), 1)[1] is None
    assert judge(np.full(FEWEST, LATE + 0.5), 1)[1] is not None
    assert judge(np.full(FEWEST, EARLY - 0.5), 1)[1] is not None


def test_what_does_not_decide_is_told_without_a_warning() -> None:
    inside, outside = np.full(30, (EARLY + LATE) / 2), np.full(30, LATE + 1)
    sure, _ = judge(inside, 1)
    for open_ in (np.append(inside, outside), np.append(inside, -outside), outside[: FEWEST - 1]):
        remark, warning = judge(open_, 1)
        assert warning is None
        assert remark is not None
        assert "not tell" in remark
    assert sure is not None
    assert "not tell" not in sure
