from itertools import pairwise

import pytest

from sttreid.search.timeline import Sighting, clock, timeline, visible


def sighting(row: int, start: float, end: float, camera: int = 0, video: str = "a.mp4") -> Sighting:
    return Sighting(row, camera, f"camera {camera}", video, str(row), f"{video}:{row}", start, end)


@pytest.mark.parametrize(
    ("seconds", "tenths", "expected"),
    [
        (0, False, "0:00"),
        (59.99, False, "0:59"),
        (61, False, "1:01"),
        (3600 + 62, False, "1:01:02"),
        (7.34, True, "0:07.3"),
        (59.96, True, "1:00.0"),
        (3599.96, True, "1:00:00.0"),
    ],
)
def test_clock(seconds: float, tenths: bool, expected: str) -> None:
    assert clock(seconds, tenths) == expected


def test_a_short_span_has_tenths_and_a_long_one_has_none() -> None:
    assert sighting(0, 7.0, 7.9).span == "0:07.0 to 0:07.9"
    assert sighting(0, 7.0, 90.0).span == "0:07 to 1:30"


def test_bars_of_one_line_never_overlap_and_stay_on_the_axis() -> None:
    sightings = [sighting(row, row * 0.7 % 11, row * 0.7 % 11 + 0.1 + row % 5) for row in range(60)]
    plan = timeline(sightings)
    assert plan is not None
    (lane,) = plan.lanes
    assert sorted(bar.sighting.row for bar in lane.bars) == list(range(60))
    assert {bar.line for bar in lane.bars} == set(range(lane.lines))
    for line in range(lane.lines):
        bars = [bar for bar in lane.bars if bar.line == line]
        for before, after in pairwise(bars):
            assert before.left + before.width <= after.left + 0.002
    assert all(bar.left >= 0 and bar.left + bar.width <= 100.002 for bar in lane.bars)


def test_bars_lie_where_their_times_are() -> None:
    plan = timeline([sighting(0, 10, 20), sighting(1, 60, 110)])
    assert plan is not None
    assert [(bar.left, bar.width) for bar in plan.lanes[0].bars] == [(0, 10), (50, 50)]
    assert dict(plan.ticks)[50] == "1:00"


def test_each_video_of_a_camera_has_a_lane_and_cameras_stay_in_order() -> None:
    plan = timeline([sighting(0, 0, 1, 1), sighting(1, 0, 1, 0, "b.mp4"), sighting(2, 0, 1, 0, "a.mp4")])
    assert plan is not None
    assert [(lane.camera, lane.video) for lane in plan.lanes] == [(0, "a.mp4"), (0, "b.mp4"), (1, "a.mp4")]


@pytest.mark.parametrize("length", [0.0, 0.5, 59.0, 3600.0, 86400.0 * 30])
def test_ticks_are_few_distinct_and_on_the_axis(length: float) -> None:
    plan = timeline([sighting(0, 5, 5), sighting(1, 5 + length, 5 + length)])
    assert plan is not None
    assert 0 < len(plan.ticks) <= 100
    times = [time for _, time in plan.ticks]
    assert len(set(times)) == len(times)
    assert all(0 <= place <= 100 for place, _ in plan.ticks)


def test_short_tracklets_of_a_long_film_are_enlarged_within_bounds() -> None:
    whole = timeline([sighting(0, 0, 100)])
    long = timeline([sighting(row, 30.0 * row, 30.0 * row + 5) for row in range(1000)])
    assert whole is not None
    assert long is not None
    assert whole.zoom == 1
    assert 1 < long.zoom <= 20
    assert long.lanes[0].lines < 30


def test_nothing_has_no_timeline() -> None:
    assert timeline([]) is None


def test_a_name_shows_every_character() -> None:
    assert visible("Straße 东.mp4") == "Straße 东.mp4"
    assert visible("a\u202egpj.exe\x00\n\udcff\u2028") == r"a\u202egpj.exe\u0000\u000a\udcff\u2028"
    assert visible("\u202e\udcff").encode().isascii()
