"""Which files are one camera."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.footage_files import Recording
from sttreid.data.segments import group_recordings
from sttreid.runtime.errors import InputError

FOLDER = Path("videos")


def recordings(names: str) -> list[Recording]:
    return [Recording(name, FOLDER / f"{name}.mp4", FOLDER / f"{name}.txt") for name in names.split()]


def group(names: str, declared: dict[str, list[str]] | None = None) -> dict[str, str]:
    cameras, _ = group_recordings(FOLDER, recordings(names), declared or {})
    return {camera: " ".join(one.name for one in ones) for camera, ones in cameras.items()}


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        ("hall door", {"door": "door", "hall": "hall"}),
        ("cam_1 cam_2 cam_12", {"cam_1": "cam_1", "cam_2": "cam_2", "cam_12": "cam_12"}),
        ("cam_001 cam_002", {"cam_001": "cam_001", "cam_002": "cam_002"}),  # numbers of cameras
        ("MOT17-02 MOT17-04", {"MOT17-02": "MOT17-02", "MOT17-04": "MOT17-04"}),
        ("MVI_20011 MVI_20012", {"MVI_20011": "MVI_20011", "MVI_20012": "MVI_20012"}),
        ("cam1_0002 cam1_0001 cam2_0001", {"cam1": "cam1_0001 cam1_0002", "cam2": "cam2_0001"}),
        ("cam1_0010 cam1_0009", {"cam1": "cam1_0009 cam1_0010"}),
        ("192.168.1.101 192.168.1.102", {name: name for name in ("192.168.1.101", "192.168.1.102")}),
        *(
            (f"{name}101 {name}102", {f"{name}101": f"{name}101", f"{name}102": f"{name}102"})
            for name in ("hall_192.168.1.", "hall-10.0.0.", "cam1_10.0.0.", "cam.10.0.0.", "192.168.001.")
        ),
        *(
            (f"{name}.101 {name}.102", {name: f"{name}.101 {name}.102"})
            for name in ("hall_256.1.1", "hall_1.999.1", "hall_2024.01.31", "1.2.3.4", "hall_1.2.3.4")
        ),
        ("hall_1.1.1.256 hall_1.1.1.257", {"hall_1.1.1": "hall_1.1.1.256 hall_1.1.1.257"}),
        ("10.0.0.101_0001 10.0.0.101_0002", {"10.0.0.101": "10.0.0.101_0001 10.0.0.101_0002"}),
        ("hall-001 hall-002 door-001", {"door": "door-001", "hall": "hall-001 hall-002"}),
        ("hall_part2 hall_part10 hall_part1", {"hall": "hall_part1 hall_part2 hall_part10"}),
        (
            "north_20240131_130000 north_20240131_120000 south_20240131120000000",
            {"north": "north_20240131_120000 north_20240131_130000", "south": "south_20240131120000000"},
        ),
        ("ch1.2024-01-31-12-00-00 ch2.part2", {"ch1": "ch1.2024-01-31-12-00-00", "ch2": "ch2.part2"}),
        ("1_20240131120000_20240131130000 2_20240131120000_20240131130000",
         {"1": "1_20240131120000_20240131130000", "2": "2_20240131120000_20240131130000"}),
    ],
)  # fmt: skip
def test_names_tell_cameras_and_segments(names: str, cameras: dict[str, str]) -> None:
    assert group(names) == cameras


def test_a_map_outweighs_the_names() -> None:
    assert group("a b c cam1_0001", {"front": ["b.mp4", "a"], "back": ["c"]}) == {"front": "b a", "back": "c"}
    _, unused = group_recordings(FOLDER, recordings("a b"), {"front": ["b"]})
    assert unused == ["a"]


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"front": ["d.mp4"]}, r"cameras\.front must name videos of the folder, a, b, got 'd\.mp4'"),
        ({"front": ["a"], "back": ["a.mp4"]}, "a video must be of one camera"),
        ({"front": ["a", "a.mp4"]}, "a video must be of one camera"),
    ],
)
def test_a_wrong_map_is_told(declared: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        group("a b", declared)


@given(st.lists(st.from_regex(r"[a-c0-9_.\-]{1,30}", fullmatch=True), min_size=1, unique=True))
def test_every_recording_is_in_one_camera(names: list[str]) -> None:
    cameras, unused = group_recordings(FOLDER, [Recording(name, FOLDER, FOLDER) for name in names], {})
    assert sorted(one.name for ones in cameras.values() for one in ones) == sorted(names)
    assert not unused
