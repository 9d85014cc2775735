"""Files that hold more than one film, covers, and names that FFmpeg takes for something else."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray

from sttreid.data.films import examine
from sttreid.data.frame_sizes import video_size
from sttreid.data.videos import check_video, count_frames, frames
from sttreid.runtime.errors import PlaceError

Frame = NDArray[np.uint8]
Numbered = Callable[[int, int, int], list[Frame]]
BurntIn = Callable[[Frame], int]
COUNT = 20
SHOWN, OTHER = (64, 48), (96, 64)  # widths and heights
H264 = ("libx264", "yuv420p")


def write(path: Path, films: list[tuple[list[Frame], str, str]], covers: tuple[int, ...] = ()) -> Path:
    """A file with several films, each with its codec and the format of its pixels."""
    with av.open(str(path), "w") as file:
        streams = []
        for images, codec, pixels in films:
            stream = file.add_stream(codec, rate=25)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pixels
            if codec == "libx264":
                stream.options = {"crf": "4", "x264-params": "keyint=10"}
            streams.append(stream)
        for number in covers:
            streams[number].disposition = Disposition.attached_pic
        for number in range(COUNT):
            for stream, (images, _, _) in zip(streams, films, strict=True):
                if number < len(images):
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(images[number], format="rgb24")))
        for stream in streams:
            file.mux(stream.encode())
    return path


def noisy(count: int, size: tuple[int, int]) -> list[Frame]:
    """Frames of many bytes: decord's FFmpeg prefers the film with the higher bit rate."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize(
    ("name", "other", "kind"),
    [
        ("a.mp4", OTHER, H264),
        ("a.mp4", SHOWN, H264),
        ("a.mov", OTHER, H264),
        ("a.mkv", OTHER, H264),
        ("a.mp4", OTHER, ("mpeg4", "yuv420p")),  # without places where a copy may be cut
    ],
)
def test_of_several_films_the_one_that_was_examined_is_decoded(
    tmp_path: Path,
    numbered: Numbered,
    burnt_in: BurntIn,
    name: str,
    other: tuple[int, int],
    kind: tuple[str, str],
    decoder: str,
) -> None:
    path = write(tmp_path / name, [(numbered(COUNT, *SHOWN), *kind), (noisy(COUNT, other), *H264)])
    assert video_size(path) == SHOWN
    assert count_frames(path) == COUNT
    decoded = list(frames(path, COUNT, decoder))  # type: ignore[arg-type]
    assert {frame.shape for frame in decoded} == {(SHOWN[1], SHOWN[0], 3)}
    assert [burnt_in(frame) for frame in decoded] == list(range(1, COUNT + 1))


def test_a_film_that_cannot_be_told_from_another_one_is_refused(tmp_path: Path, numbered: Numbered) -> None:
    shown = (numbered(COUNT, *SHOWN), "mpeg2video", "yuv422p")  # whose pixels differ between the decoders
    path = write(tmp_path / "a.mov", [shown, (noisy(COUNT, OTHER), *H264)])
    with pytest.raises(PlaceError, match=r"another of the 2 films in the file: set decode\.decoder to pyav"):
        check_video(path, COUNT, "decord")
    assert {frame.shape for frame in frames(path, COUNT, "pyav")} == {(SHOWN[1], SHOWN[0], 3)}


def test_the_size_is_that_of_the_film_and_not_of_a_preview_before_it(
    tmp_path: Path, numbered: Numbered, burnt_in: BurntIn
) -> None:
    path = write(tmp_path / "a.mkv", [(noisy(1, OTHER), *H264), (numbered(COUNT, *SHOWN), *H264)])
    assert video_size(path) == SHOWN
    assert [burnt_in(frame) for frame in frames(path, COUNT)] == list(range(1, COUNT + 1))


def test_a_cover_is_no_film(tmp_path: Path, numbered: Numbered, burnt_in: BurntIn) -> None:
    cover = (noisy(1, OTHER), "mjpeg", "yuvj420p")
    path = write(tmp_path / "a.mp4", [cover, (numbered(COUNT, *SHOWN), *H264)], covers=(0,))
    assert examine(path).films == 1
    assert [burnt_in(frame) for frame in frames(path, COUNT)] == list(range(1, COUNT + 1))
    alone = write(tmp_path / "b.mp4", [cover], covers=(0,))
    assert video_size(alone) is None
    with pytest.raises(PlaceError, match="holds no film"):
        examine(alone)


@pytest.mark.parametrize("name", ["cam:1.mp4", "2024-01-31T12:00:00.mp4", "pipe:0.mp4", "a%03d.mp4"])
@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_a_name_is_no_address(
    tmp_path: Path,
    numbered: Numbered,
    burnt_in: BurntIn,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    decoder: str,
) -> None:
    write(tmp_path / "a.mp4", [(numbered(COUNT, *SHOWN), *H264)]).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    assert video_size(path) == SHOWN
    decoded = frames(path, COUNT, decoder)  # type: ignore[arg-type]
    assert [burnt_in(frame) for frame in decoded] == list(range(1, COUNT + 1))
