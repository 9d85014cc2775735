from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sttreid.data.videos import frames
from sttreid.runtime.errors import InputError

Frame = NDArray[np.uint8]
Write = Callable[..., Path]
Numbered = Callable[[int, int, int], list[Frame]]


def refusal(path: Path, expected: int) -> str:
    with pytest.raises(InputError) as error:
        list(frames(path, expected))
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value)


@pytest.mark.parametrize("width", [16, 24, 32, 48, 64, 72, 96, 128])
def test_frames_come_in_order_whole_and_of_the_right_shape(
    tmp_path: Path, write_video: Write, numbered: Numbered, burnt_in: Callable[[Frame], int], width: int
) -> None:
    output = numbered(25, width, 64)
    decoded = list(frames(write_video(tmp_path / "v.mp4", output), 25))
    assert {(frame.shape, frame.dtype.name) for frame in decoded} == {((64, width, 3), "uint8")}
    assert [burnt_in(frame) for frame in decoded] == list(range(1, 26))
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(decoded, output, strict=True)) <= 20


@pytest.mark.parametrize(
    ("name", "container", "x264"),
    [
        ("open-gop.mp4", {}, "open-gop=1:keyint=10:bframes=3"),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}, "keyint=10"),
        ("b-frames.avi", {}, "bframes=3"),
        ("b-frames.mkv", {}, "bframes=3:open-gop=1"),
        ("intra.mp4", {}, "keyint=1"),
    ],
)
def test_frames_of_difficult_files_come_in_order(
    tmp_path: Path,
    write_video: Write,
    numbered: Numbered,
    burnt_in: Callable[[Frame], int],
    name: str,
    container: dict[str, str],
    x264: str,
) -> None:
    path = write_video(tmp_path / name, numbered(40, 64, 64), container, x264)
    assert [burnt_in(frame) for frame in frames(path, 40)] == list(range(1, 41))


def test_a_kept_frame_does_not_change_later(tmp_path: Path, write_video: Write, numbered: Numbered) -> None:
    stream = frames(write_video(tmp_path / "v.mp4", numbered(12, 64, 64)), 12)
    first = next(stream)
    copy = first.copy()
    list(stream)
    assert np.array_equal(first, copy)


@pytest.mark.parametrize("expected", [11, 13])
def test_another_number_of_frames_is_refused(
    tmp_path: Path, write_video: Write, numbered: Numbered, expected: int
) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(12, 64, 64))
    assert refusal(path, expected).endswith(f"the video must hold {expected} frames, got 12")


def test_a_missing_video_and_a_folder_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "c1.mp4", 5).endswith("the video is missing")
    assert refusal(tmp_path, 5).endswith("the video is missing")


@pytest.mark.parametrize("content", [b"", b"1,2,3,4,5,6\n" * 500, bytes(range(256)) * 20])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c1.mp4"
    path.write_bytes(content)
    assert "cannot be opened as a video" in refusal(path, 5)


def test_a_truncated_video_is_refused(tmp_path: Path, write_video: Write, numbered: Numbered) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60, 64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be opened as a video" in refusal(path, 60)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_video_with_its_index_in_front_is_refused(
    tmp_path: Path, write_video: Write, numbered: Numbered, share: float
) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60, 64, 64), {"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refusal(path, 60)


def test_a_truncated_stream_is_refused_for_its_frame_count(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "v.mkv", numbered(60, 64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "the video must hold 60 frames, got" in refusal(path, 60)


def test_a_damaged_packet_is_refused_with_a_frame_and_a_reason(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60, 64, 64), {"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    middle = (content.find(b"mdat") + len(content)) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    message = refusal(path, 60)
    assert "of 60, or one of the next frames, cannot be decoded (" in message
    assert "github" not in message
    assert "\n" not in message


def test_a_transport_stream_is_refused_rather_than_misread(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    refusal(write_video(tmp_path / "v.ts", numbered(60, 64, 64), {}, "keyint=30"), 60)
