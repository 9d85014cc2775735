"""Films without tracks -> tracks -> gallery."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
import pytest
from PIL import Image

from sttreid.config.track_format import TrackFormat
from sttreid.data.camera_frames import read_frames
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.search import detection
from sttreid.search.detection import Found, Tracker, detect_tracks, find_tracks
from sttreid.search.videos import EmbedSettings, embed_videos
from tests.search.walkers import BODY, ColourDetector, Walker, film
from tests.sections import small_network

WALKERS = Walker(0, 10, 2), Walker(150, 70, -2, first=6), Walker(60, 40, 0, first=20, last=25)
COUNT = 40  # at 12 frames per second; the third one is seen for half a second


@pytest.fixture
def network() -> Network:
    return small_network().eval()


@pytest.fixture
def hall(tmp_path: Path, write_video: Callable[..., Path]) -> Path:
    return write_video(tmp_path / "hall.mp4", film(COUNT, *WALKERS))


def lines(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]


def test_tracks_follow_people_and_short_ones_are_left_out(hall: Path, tmp_path: Path) -> None:
    tracks = tmp_path / "found" / "hall.txt"
    found = find_tracks(hall, ColourDetector(), tracks)
    rows = lines(tracks)
    assert found.frames == COUNT
    assert found.tracks == 2
    assert found.boxes == len(rows) < found.detections
    assert found.detections - found.boxes == 6  # of the third one
    for frame, track, left, top, width, height, confidence, *rest in rows:
        walker = WALKERS[int(track) - 1]
        assert top == pytest.approx(walker.top, abs=2)
        right = walker.left(int(frame) - 1) + BODY[1]
        assert left + width == pytest.approx(min(right, 160), abs=3)
        assert height == pytest.approx(BODY[0], abs=3)
        assert (confidence, rest) == (0.5, [-1, -1, -1])
    assert not list(tracks.parent.glob(".*"))
    table = motmetrics.io.loadtxt(str(tracks), fmt="mot15-2D")  # an independent reader
    assert len(table) == len(rows)


def test_memory_does_not_grow_with_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = film(80, *WALKERS[:2])
    monkeypatch.setattr(detection, "seconds_per_frame", lambda _: 1 / 12)

    def peak(count: int) -> int:
        """Bytes for a film in which the two of them come again and again."""
        monkeypatch.setattr(detection, "count_frames", lambda _: count)
        again = ((number, picture[number % 80]) for number in range(1, count + 1))
        monkeypatch.setattr(detection, "read_frames", lambda *_: again)
        tracemalloc.start()
        found = find_tracks(tmp_path / "hall.mp4", ColourDetector(), tmp_path / "hall.txt")
        assert found.boxes > count
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(50)  # imports
    assert peak(800) < 1.1 * peak(200)


def test_tracks_are_equal_in_every_run(hall: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        find_tracks(hall, detection.load_detector("motion")(), tmp_path / name)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert lines(tmp_path / "a.txt")


def test_the_tracker_keeps_a_number_through_a_short_gap_and_gives_a_new_one_after_a_long_one() -> None:
    tracker = Tracker(patience=5)
    box, nothing = np.array([[10, 10, 26, 50, 1.0]]), np.empty((0, 5))

    def numbers(*shown: bool) -> list[int]:
        return [number for one in shown for number, _ in tracker.update(box if one else nothing)]

    assert set(numbers(*[True] * 8, *[False] * 3, True, True)) == {1}
    assert set(numbers(*[False] * 8, True, True)) == {2}


def test_a_gallery_of_a_film_without_tracks(hall: Path, network: Network, tmp_path: Path) -> None:
    told: list[str] = []
    found = tmp_path / "gallery.tracks"
    gallery = embed_videos(network, [hall], detect=ColourDetector(), detected=found, tell=told.append)
    assert gallery.names == ("hall.mp4:1", "hall.mp4:2")
    assert any(f"{COUNT} frames" in sentence and "2 tracks" in sentence for sentence in told)
    assert not any("warning" in sentence for sentence in told)
    again = embed_videos(network, [hall], [found / "hall.txt"])
    np.testing.assert_array_equal(again.embeddings, gallery.embeddings)
    assert again.tracklets.equals(gallery.tracklets)
    nowhere = embed_videos(network, [hall], detect=ColourDetector)
    np.testing.assert_array_equal(nowhere.embeddings, gallery.embeddings)


@pytest.mark.parametrize("start", [0, 1, 100])
def test_frames_of_images_are_numbered_by_their_names(start: int, network: Network, tmp_path: Path) -> None:
    folder = tmp_path / "hall"
    folder.mkdir()
    for number, frame in enumerate(film(COUNT, WALKERS[0]), start):
        Image.fromarray(frame).save(folder / f"{number:06d}.png")
    gallery = embed_videos(network, [folder], detect=ColourDetector(), detected=tmp_path / "found")
    frames = [row[0] for row in lines(tmp_path / "found" / "hall.txt")]
    assert frames == [*range(start, start + COUNT)]
    first = max(start, 1)
    assert gallery.tracklets[["first", "last", "boxes"]].to_numpy().tolist() == [
        [first, first + COUNT - 1, COUNT]
    ]
    own = EmbedSettings(tracks=TrackFormat(first_frame=0 if start == 0 else None))
    again = embed_videos(network, [folder], [tmp_path / "found" / "hall.txt"], settings=own)
    assert again.tracklets.equals(gallery.tracklets)


def test_a_run_resumes_after_the_films_that_were_searched(
    hall: Path, tmp_path: Path, write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [hall, write_video(tmp_path / "lobby.mp4", film(COUNT, WALKERS[0]))]
    searched: list[str] = []

    def counted(video: Path, *rest: Any) -> Found:
        searched.append(video.name)
        if len(searched) == 2:
            raise KeyboardInterrupt
        return find_tracks(video, *rest)

    monkeypatch.setattr(detection, "find_tracks", counted)
    places = tmp_path / "found", tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        detect_tracks(films, "motion", *places)
    (tmp_path / "found" / "hall.txt").write_text("edited")
    files = detect_tracks(films, "motion", *places)
    assert searched == ["hall.mp4", "lobby.mp4", "lobby.mp4"]
    assert files == [tmp_path / "found" / "hall.txt", tmp_path / "found" / "lobby.txt"]
    assert all(lines(file) for file in files)
    detect_tracks(films[:1], "tests.search.walkers:ColourDetector", *places)
    detect_tracks(films[:1], ColourDetector(), *places)
    detect_tracks(films[:1], ColourDetector(), *places)  # an object may have changed
    assert searched[3:] == ["hall.mp4"] * 3


def test_films_are_searched_by_the_chosen_decoder(
    hall: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def spied(camera: Any, wanted: Any, decoder: str) -> Any:
        used.append(decoder)
        return read_frames(camera, wanted, "decord")

    monkeypatch.setattr(detection, "read_frames", spied)
    for source in ("tests.search.walkers:ColourDetector", ColourDetector()):
        detect_tracks([hall], source, tmp_path / "found", tmp_path / "parts", decoder="pyav")
    assert used == ["pyav", "pyav"]


def test_one_film_may_show_nobody_but_not_all(
    hall: Path, network: Network, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    empty = write_video(tmp_path / "empty.mp4", film(20))
    gallery = embed_videos(network, [empty, hall], detect=ColourDetector())
    assert set(gallery.tracklets["video"]) == {"hall.mp4"}
    with pytest.raises(InputError, match=r"empty\.mp4.*20 frames"):
        embed_videos(network, [empty], detect=ColourDetector())
    short = write_video(tmp_path / "short.mp4", film(11, WALKERS[0]))
    with pytest.raises(InputError, match=r"short\.mp4.*11 detections, 0 tracks"):
        embed_videos(network, [short], detect=ColourDetector())


def test_input_that_cannot_be_searched_is_named(
    hall: Path, network: Network, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    twin = write_video(tmp_path / "hall.mkv", film(2))
    with pytest.raises(InputError, match=r"hall\.mp4.*twice"):
        embed_videos(network, [hall, twin], detect="motion")
    with pytest.raises(InputError, match=r"gone\.mp4"):
        embed_videos(network, [tmp_path / "gone.mp4"], detect="motion")
    with pytest.raises(InputError, match="tracks"):
        embed_videos(network, [hall], [hall], detect="motion")
    with pytest.raises(InputError, match="cameras"):
        embed_videos(network, [hall], cameras=["a", "b"], detect="motion")
    formats = EmbedSettings(tracks=detection.format_of(hall))
    with pytest.raises(InputError, match="format"):
        embed_videos(network, [hall], detect="motion", settings=formats)
    hall.write_bytes(hall.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"hall\.mp4"):
        embed_videos(network, [hall], detect="motion")


def test_a_missing_package_is_named(hall: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "norfair", None)
    with pytest.raises(InputError, match=r"norfair.*sttreid\[detect\]"):
        embed_videos(network, [hall], detect=ColourDetector())
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"OpenCV.*sttreid\[detect\]"):
        embed_videos(network, [hall], detect="motion")
