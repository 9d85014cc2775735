"""The tracks of a video without its pictures: the boxes that were embedded, and no others."""

import os
from pathlib import Path

import pandas as pd
import pytest

from sttreid.config.track_format import TrackFormat
from sttreid.runtime.errors import InputError
from sttreid.search.recordings import pair_up, read_embedded_boxes, video_of


def rows(first: int, tracks: int = 3, length: int = 8) -> tuple[list[tuple[int, ...]], pd.DataFrame]:
    """Lines of a tracks file whose first frame has the number ``first``, and the tracklets of a gallery."""
    lines, tracklets = [], []
    for track in range(1, tracks + 1):
        frames = range(track, track + length)
        lines += [(first + frame, track, 9 * track, 5, 16, 30 + track) for frame in frames]
        known = {"track": str(track), "first": frames[0] + 1, "last": frames[-1] + 1, "boxes": length}
        tracklets.append(known | {"video": "hall.mp4", "height": 30.0 + track})
    return lines, pd.DataFrame(tracklets)


def write(path: Path, lines: list[tuple[int, ...]]) -> Path:
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("first", [0, 1, 1000])
def test_frames_count_as_in_the_gallery_whatever_the_first_is_called(first: int, tmp_path: Path) -> None:
    lines, tracklets = rows(first)
    boxes = read_embedded_boxes(write(tmp_path / "hall.txt", lines), tracklets)
    spans = boxes.groupby("track")["frame"].agg(["min", "max"])
    assert spans["min"].tolist() == tracklets["first"].tolist()
    assert spans["max"].tolist() == tracklets["last"].tolist()


def test_columns_that_were_declared_for_embedding_are_declared_again(tmp_path: Path) -> None:
    """Corners look like a width and a height to a reader that has no picture."""
    lines, tracklets = rows(1)
    corners = [(*line[:4], line[2] + line[4], line[3] + line[5]) for line in lines]
    file = write(tmp_path / "hall.txt", corners)
    with pytest.raises(InputError, match=r"hall\.txt: .*height"):
        read_embedded_boxes(file, tracklets)
    columns = TrackFormat(columns=["frame", "id", "left", "top", "right", "bottom"])
    boxes = read_embedded_boxes(file, tracklets, columns)
    assert boxes.groupby("track")["height"].median().tolist() == tracklets["height"].tolist()


def test_tracks_may_have_lost_or_gained_some_boxes_since(tmp_path: Path) -> None:
    lines, tracklets = rows(1)
    kept = [line for line in lines if line[1] != 2]
    boxes = read_embedded_boxes(write(tmp_path / "hall.txt", [*kept, (3, 9, 1, 1, 4, 4)]), tracklets)
    assert set(boxes["track"]) == {"1", "3", "9"}


def test_tracks_belong_to_the_one_video_that_is_named_like_them() -> None:
    videos = ["hall.mp4", "hall.avi", "site.a", "lobby.mp4"]  # site.a is a folder of images
    for name, video in (("lobby.txt", "lobby.mp4"), ("site.a.txt", "site.a"), ("hall.avi.txt", "hall.avi")):
        assert video_of(Path("x", name), videos) == video
    for name in ("hall.txt", "yard.txt"):
        with pytest.raises(InputError, match=name):
            video_of(Path("x", name), videos)


@pytest.mark.parametrize("suffix", [".json", ".XML"])
def test_tracks_without_lines_are_refused_by_their_suffix(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "hall.mp4").write_bytes(b"")
    tracks = tmp_path / f"hall{suffix}"
    tracks.write_text('[{"frame": 1}]')
    with pytest.raises(InputError, match=rf"hall\{suffix}: .* line for each box"):
        pair_up([tmp_path / "hall.mp4"], [tracks])
    tracks.rename(tmp_path / "hall.log")
    assert pair_up([tmp_path / "hall.mp4"], [tmp_path / "hall.log"])[0].camera == "hall"


def test_a_folder_of_images_gives_its_camera_its_whole_name(tmp_path: Path) -> None:
    for name in ("site.1", "site.2"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.txt").write_text("1,1,1,1,9,9\n")
    found = pair_up([tmp_path / "site.1", tmp_path / "site.2"])
    assert [one.camera for one in found] == ["site.1", "site.2"]


def test_names_that_no_gallery_can_hold_are_refused(tmp_path: Path) -> None:
    video = tmp_path / os.fsdecode(b"h\xe4ll.mp4")
    tracks = tmp_path / "hall.txt"
    for file in (video, tracks):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="UTF-8"):
        pair_up([video], [tracks], ["hall"])
    plain = video.rename(tmp_path / "hall.mp4")
    with pytest.raises(InputError, match="UTF-8"):
        pair_up([plain], [tracks], [video.stem])


def test_two_videos_share_neither_tracks_nor_unasked_a_camera(tmp_path: Path) -> None:
    videos = [tmp_path / "hall.mp4", tmp_path / "hall.avi"]
    tracks = [tmp_path / "hall.txt", tmp_path / "other.txt"]
    for file in (*videos, *tracks):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"tracks.*hall\.txt twice"):
        pair_up(videos)
    with pytest.raises(InputError, match=r"--camera.*hall twice"):
        pair_up(videos, tracks)
    assert [one.camera for one in pair_up(videos, tracks, ["hall", "hall"])] == ["hall", "hall"]
    labels = tmp_path / "labels"  # of ultralytics, whose files begin with the name of a video
    labels.mkdir()
    other = videos[0].rename(tmp_path / "lobby.mp4")
    assert [one.tracks for one in pair_up([videos[1], other], [labels] * 2)] == [labels] * 2


@pytest.mark.parametrize("video", ["", ".", "/", "..", "a/.."])
def test_a_video_without_a_name_is_refused(video: str) -> None:
    with pytest.raises(InputError, match="a video must have a name"):
        pair_up([Path(video)])


def test_a_camera_without_a_name_is_refused(tmp_path: Path) -> None:
    for name in ("hall.mp4", "hall.txt"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="a camera must have a name"):
        pair_up([tmp_path / "hall.mp4"], cameras=[""])
