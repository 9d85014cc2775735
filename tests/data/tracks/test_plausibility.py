"""Boxes that cannot be in pixels of the video, and what is only worth a warning."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from sttreid.config.track_format import Plausibility
from sttreid.data.tracks.plausibility import Checked, check_boxes
from sttreid.data.tracks.reading import COLUMNS
from sttreid.runtime.errors import InputError

PICTURE = (640, 360)
Box = tuple[float, float, float, float]
PEOPLE: list[Box] = [(40 + 100 * i, 60 + 10 * i, 60, 180) for i in range(5)]


def table(*boxes: Box, frames: int = 10) -> pd.DataFrame:
    rows = [
        (frame, identity, *box, 1.0, frame * len(boxes) + identity)
        for frame in range(1, frames + 1)
        for identity, box in enumerate(boxes)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def check(
    *boxes: Box, frames: int = 10, picture: tuple[int, int] | None = PICTURE, given: Plausibility = "raise"
) -> Checked:
    return check_boxes(Path("c1.txt"), table(*boxes, frames=frames), picture, 10, given)


def scaled(factor: float) -> list[Box]:
    return [tuple(value * factor for value in box) for box in PEOPLE]  # type: ignore[misc]


def test_people_in_the_picture_are_no_reason_to_warn() -> None:
    checked = check(*PEOPLE)
    assert not checked.warnings
    assert len(checked.table) == 50
    assert "0 of 10 frames without boxes" in checked.statement


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([tuple(v / s for v, s in zip(box, (640, 360) * 2, strict=True)) for box in PEOPLE], "normalised"),
        (
            [(left, top, left + width, top + height) for left, top, width, height in PEOPLE],
            "[frame, id, left",
        ),
        (scaled(3), "of another size"),
        (scaled(2), "of another size"),
        ([(1000, 50, 60, 100), (1200, 50, 60, 100)], "of another size"),
        ([(-100, 50, 60, 100), (-90, 50, 60, 100), (50, 50, 60, 100)], "most boxes must be used"),
    ],
)
def test_boxes_that_cannot_be_in_pixels_are_refused(boxes: list[Box], words: str) -> None:
    with pytest.raises(InputError) as error:
        check(*boxes)
    assert str(error.value).startswith("c1.txt: ")
    assert words in str(error.value)
    checked = check(*boxes, given="warn")
    assert any(words in warning for warning in checked.warnings)
    assert len(checked.table) + checked.left_out == 10 * len(boxes)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([(-20, 50, 60, 100), (-10, 40, 60, 100), (40, 40, 60, 100)], "cut by the border"),
        ([(600, 50, 60, 100), (590, 40, 60, 100), (40, 40, 60, 100)], "right or bottom border"),
        ([*PEOPLE, (30, 40, 7, 100)], "less than 8 pixels"),
        ([*PEOPLE, (638.5, 40, 60, 100)], "10 boxes with less than 2 pixels in the picture give no crop"),
        (scaled(0.5), "tracked in a smaller video"),
    ],
)
def test_what_may_be_wrong_is_a_warning(boxes: list[Box], words: str) -> None:
    assert any(words in warning for warning in check(*boxes).warnings)


def test_tracks_of_one_frame_are_a_warning() -> None:
    assert any("one frame only" in warning for warning in check(*PEOPLE, frames=1).warnings)


def test_a_sliver_is_left_out_and_counted() -> None:
    checked = check(*PEOPLE, (640 - 1e-7, 40, 60, 100), (-80, 40, 60, 100), (50, 358.01, 60, 100))
    assert checked.left_out == 30
    assert set(checked.table["identity"]) == {0, 1, 2, 3, 4}
    assert list(checked.table.index) == list(range(50))


SIDES = st.floats(-1e4, 1e4) | st.sampled_from([0.0, 0.5, 1.0, 2.0, 640.0, 1e-7])
LENGTHS = st.floats(1e-9, 1e5)


@settings(max_examples=100, deadline=None)
@drawn(
    st.lists(st.tuples(SIDES, SIDES, LENGTHS, LENGTHS), max_size=15),
    st.sampled_from([PICTURE, None]),
    st.sampled_from(["raise", "warn"]),
)
def test_every_box_is_used_or_counted_or_all_are_refused(
    boxes: list[Box], picture: tuple[int, int] | None, given: Any
) -> None:
    try:
        checked = check(*boxes, picture=picture, given=given)
    except InputError:
        assert given == "raise"
        return
    assert len(checked.table) + checked.left_out == 10 * len(boxes)
    assert picture is None or (checked.table[["width", "height"]].min(axis=None) > 1.9 or checked.table.empty)


def test_without_the_size_of_the_picture_only_the_boxes_are_checked() -> None:
    assert len(check(*scaled(5), picture=None).table) == 50
    with pytest.raises(InputError, match="normalised"):
        check((0.1, 0.2, 0.3, 0.4), picture=None)


def test_a_camera_without_boxes_is_no_error() -> None:
    assert check(frames=0).statement == "no box in 10 frames"


def moving(shape: str, *tracks: tuple[Box, float]) -> pd.DataFrame:
    """Boxes that move to the right by some pixels per frame, in 10 frames, written as ``shape``."""
    written = {
        "left": lambda x, y, w, h: (x, y, w, h),
        "corners": lambda x, y, w, h: (x, y, x + w, y + h),
        "middle": lambda x, y, w, h: (x + w / 2, y + h / 2, w, h),
    }[shape]
    boxes = [
        (frame, identity, *written(x + speed * frame, y, w, h), 1.0, 10 * frame + identity)
        for frame in range(1, 11)
        for identity, ((x, y, w, h), speed) in enumerate(tracks)
    ]
    return pd.DataFrame(boxes, columns=list(COLUMNS))


# predicted beyond all borders, as a Kalman filter does
LEAVING = (
    ((560, 100, 60, 180), 5.0),
    ((-30, 60, 60, 180), -1.0),
    ((300, 175, 60, 180), 2.0),
    ((200, 90, 50, 150), 0.0),
    ((420, 120, 60, 170), -4.0),
)
UPPER_LEFT = tuple(((40.0 + 40 * i, 20.0 + 10 * i, 30.0, 80.0), 1.0) for i in range(6))


def test_corners_are_refused_although_some_boxes_are_predicted_beyond_the_borders() -> None:
    with pytest.raises(InputError, match=r"left, top, right, bottom"):
        check_boxes(Path("c1.txt"), moving("corners", *LEAVING), PICTURE, 10)


def test_corners_in_the_upper_left_of_the_picture_are_a_warning() -> None:
    checked = check_boxes(Path("c1.txt"), moving("corners", *UPPER_LEFT), PICTURE, 10)
    assert any("left, top, right, bottom" in warning for warning in checked.warnings)


def test_a_middle_in_place_of_the_left_top_corner_is_a_warning() -> None:
    tracks = [*(((x, y, 60.0, 180.0), 3.0) for x, y in [(550, 100), (4, 170), (300, 178)]), *LEAVING[3:]]
    checked = check_boxes(Path("c1.txt"), moving("middle", *tracks), PICTURE, 10)
    assert any("x_center, y_center, width, height" in warning for warning in checked.warnings)


@pytest.mark.parametrize("tracks", [LEAVING, UPPER_LEFT, LEAVING[3:]])
def test_left_top_width_and_height_are_no_reason_to_set_columns(tracks: Any) -> None:
    checked = check_boxes(Path("c1.txt"), moving("left", *tracks), PICTURE, 10)
    assert not any("columns" in warning for warning in checked.warnings)


def test_boxes_of_an_identity_that_lie_apart_are_a_warning() -> None:
    """In files that begin with the identity, and where each frame numbers its detections."""
    boxes = table(*PEOPLE, frames=40)
    right = check_boxes(Path("c1.txt"), boxes, PICTURE, 40)
    swapped = boxes.assign(frame=boxes["identity"] + 1, identity=boxes["frame"])
    detections = boxes.sample(frac=1, random_state=0).assign(
        identity=lambda rows: rows.groupby("frame").cumcount()
    )
    found = [check_boxes(Path("c1.txt"), one, PICTURE, 40).warnings for one in (swapped, detections)]
    assert not right.warnings
    assert all(any("frame and id" in text for text in texts) for texts in found)
