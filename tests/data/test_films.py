from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sttreid.data import pyav_frames
from sttreid.data.films import examine
from sttreid.data.videos import check_video, count_frames, frames
from sttreid.runtime.errors import DecodeError, PlaceError

Frame = NDArray[np.uint8]
Write = Callable[..., Path]
Numbered = Callable[[int, int, int], list[Frame]]
FRAMES = 60
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@pytest.fixture
def film(tmp_path: Path, write_video: Write, numbered: Numbered) -> Callable[..., Path]:
    """Write a sound film."""

    def write(
        name: str, container: dict[str, str] | None = None, x264: str = "keyint=10", **more: Any
    ) -> Path:
        return write_video(tmp_path / name, numbered(FRAMES, 64, 64), container, x264, **more)

    return write


def cut(path: Path, packet: int) -> Path:
    """End a film within a packet."""
    path.write_bytes(path.read_bytes()[: packet_places(path)[packet] + 9])
    return path


def packet_places(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [int(packet.pos) for packet in container.demux(video=0) if packet.size]


def shown(path: Path, burnt_in: Callable[[Frame], int]) -> list[int]:
    """The numbers in the frames that are said to be in their place."""
    return [burnt_in(frame) for frame in pyav_frames.frames(path, FRAMES)]


@pytest.mark.parametrize(
    ("name", "container", "x264"),
    [
        ("a.mp4", {}, "keyint=10"),
        ("a.mp4", {"movflags": "faststart"}, "keyint=10:bframes=3"),
        ("a.mp4", FRAGMENTS, "keyint=10:bframes=3"),
        ("a.mov", {}, "open-gop=1:keyint=10:bframes=3"),
        ("a.mkv", {}, "keyint=10:bframes=3"),
        ("a.mkv", {"live": "1"}, "keyint=10"),
        ("a.mkv", {"cluster_size_limit": "2000"}, "keyint=10"),
        ("a.avi", {}, "bframes=3"),
        ("a.flv", {}, "keyint=10"),
    ],
)
def test_a_sound_film_is_sound(
    film: Callable[..., Path], name: str, container: dict[str, str], x264: str
) -> None:
    found = examine(film(name, container, x264))
    assert (found.frames, found.readable, found.damage) == (FRAMES, FRAMES, None)


@pytest.mark.parametrize(("name", "codec"), [("a.wmv", "wmv2"), ("a.mxf", "mpeg2video")])
def test_a_film_whose_header_announces_more_bytes_is_cut_short(
    tmp_path: Path, numbered: Numbered, burnt_in: Callable[[Frame], int], name: str, codec: str
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 64, "yuv420p", 4_000_000
        for image in numbered(FRAMES, 64, 64):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    found = examine(path)
    assert (found.frames, found.readable, found.damage) == (FRAMES, FRAMES, None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = examine(path)
    assert found.damage is not None
    assert "cut short" in found.damage
    assert FRAMES // 3 <= found.readable < FRAMES
    assert shown(path, burnt_in) == list(range(1, found.readable + 1))


def test_a_variable_frame_rate_with_long_pauses_is_no_damage(film: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([33, 34, 66, 40, 5000], FRAMES)).tolist()
    for name in ("a.mp4", "a.mkv"):
        assert examine(film(name, times=times)).damage is None


@pytest.mark.parametrize("packet", [15, 31, 44, 59])
@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mp4", FRAGMENTS),
        ("a.mkv", {}),
        ("a.mkv", {"live": "1"}),
        ("a.avi", {}),
    ],
)
@pytest.mark.parametrize("x264", ["keyint=10:bframes=3", "keyint=10:bframes=0"])
def test_a_film_cut_short_is_told(
    film: Callable[..., Path],
    burnt_in: Callable[[Frame], int],
    name: str,
    container: dict[str, str],
    packet: int,
    x264: str,
) -> None:
    path = cut(film(name, container, x264), packet)
    found = examine(path)
    assert found.damage is not None
    assert "the film is cut short" in found.damage
    assert str(found.readable) in found.damage
    assert shown(path, burnt_in) == list(range(1, found.readable + 1))
    assert packet - 17 <= found.readable <= packet


@pytest.mark.parametrize(
    ("name", "container"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {})]
)
def test_a_film_cut_short_promises_its_frames(
    film: Callable[..., Path], name: str, container: dict[str, str]
) -> None:
    assert examine(cut(film(name, container), 40)).frames == FRAMES


@pytest.mark.parametrize("length", [30, 300, 3000])
@pytest.mark.parametrize("x264", ["keyint=10:bframes=3", "keyint=10:bframes=0"])
def test_frames_before_a_damaged_part_are_in_their_place(
    film: Callable[..., Path], burnt_in: Callable[[Frame], int], length: int, x264: str
) -> None:
    path = film("a.mkv", {"cluster_size_limit": "1500"}, x264)
    content, start = bytearray(path.read_bytes()), packet_places(path)[25]
    content[start - 2 : start + length] = np.random.default_rng(length).bytes(length + 2)
    path.write_bytes(content)
    found = examine(path)
    assert found.damage is not None
    assert "byte" in found.damage
    assert shown(path, burnt_in) == list(range(1, found.readable + 1))
    assert 15 <= found.readable <= 26


def test_a_damaged_fragment_is_told(film: Callable[..., Path], burnt_in: Callable[[Frame], int]) -> None:
    path = film("a.mp4", FRAGMENTS)
    content = bytearray(path.read_bytes())
    third = [i for i in range(len(content)) if content[i : i + 4] == b"moof"][2]
    content[third - 4 : third + 8] = b"\xff" * 12
    path.write_bytes(content)
    found = examine(path)
    assert found.damage is not None
    assert shown(path, burnt_in) == list(range(1, found.readable + 1))


def test_a_damaged_chunk_of_avi_is_told(film: Callable[..., Path], burnt_in: Callable[[Frame], int]) -> None:
    path = film("a.avi", {}, "keyint=10:bframes=0")
    content = bytearray(path.read_bytes())
    place = content.rfind(b"00dc", 0, packet_places(path)[30] + 4)
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    found = examine(path)
    assert found.damage is not None
    assert f"byte {place:,}" in found.damage
    assert shown(path, burnt_in) == list(range(1, found.readable + 1))
    assert found.readable <= 30


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_what_follows_a_whole_film_is_no_damage(film: Callable[..., Path], name: str) -> None:
    path = film(name)
    path.write_bytes(path.read_bytes() + b"\xfftrailer of a telephone" * 9)
    assert examine(path).damage is None


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_space_that_a_recorder_reserved_ends_the_film(
    film: Callable[..., Path], burnt_in: Callable[[Frame], int], name: str
) -> None:
    path = cut(film(name, {}, "keyint=10:bframes=0"), 40)
    path.write_bytes(path.read_bytes() + bytes(100_000))
    assert examine(path).damage is not None
    stream = map(burnt_in, pyav_frames.frames(path, FRAMES))
    assert list(islice(stream, 40)) == list(range(1, 41))
    with pytest.raises(DecodeError, match="frame 41"):  # the last one, half of which are zeros
        next(stream)


def resized(path: Path, codec: str, sizes: list[tuple[int, int]]) -> Path:
    """A film whose stream is joined from streams of several sizes, ten frames each."""
    with av.open(str(path), "w") as output:
        stream, time = None, 0
        for width, height in sizes:
            encoder = av.CodecContext.create(codec, "w")
            encoder.width, encoder.height = width, height
            encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
            encoder.options = {"x264-params": "keyint=5:bframes=0:repeat-headers=1:annexb=1", "bf": "0"}
            if stream is None:
                stream = output.add_stream(codec, rate=25)
                stream.width, stream.height, stream.pix_fmt = width, height, encoder.pix_fmt
                stream.time_base = Fraction(1, 25)
            packets = []
            for _ in range(10):
                frame = av.VideoFrame(width, height, encoder.pix_fmt)
                for plane in frame.planes:
                    plane.update(bytes([128]) * plane.buffer_size)
                packets += encoder.encode(frame)
            for packet in [*packets, *encoder.encode(None)]:
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                packet.pts = packet.dts = time
                time += 1
                output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("libx264", "a.mkv"),
        ("libx264", "a.avi"),
        ("libx264", "a.ts"),
        ("mjpeg", "a.avi"),
        ("mjpeg", "a.mkv"),
        ("mpeg4", "a.avi"),
        ("libvpx", "a.mkv"),
        ("libvpx-vp9", "a.webm"),
    ],
)
def test_a_change_of_the_size_is_told(tmp_path: Path, codec: str, name: str) -> None:
    found = examine(resized(tmp_path / name, codec, [(64, 48), (64, 48), (96, 64)]))
    assert found.damage is not None
    assert "64x48" in found.damage
    assert "96x64" in found.damage
    assert found.readable <= 20
    assert examine(resized(tmp_path / f"same-{name}", codec, [(64, 48), (64, 48)])).damage is None


def test_a_film_that_starts_between_keyframes_has_no_place_for_its_frames(
    tmp_path: Path, film: Callable[..., Path]
) -> None:
    with av.open(str(film("a.mkv"))) as whole, av.open(str(tmp_path / "b.mkv"), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.size and number >= 5:
                packet.stream = stream
                part.mux(packet)
    found = examine(tmp_path / "b.mkv")
    assert found.readable == 0
    assert "keyframe" in str(found.damage)


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_frames_that_need_those_before_a_cut_do_not_count(
    tmp_path: Path, numbered: Numbered, burnt_in: Callable[[Frame], int], codec: str, decoder: str
) -> None:
    """In an open group of pictures, frames that follow a keyframe in the file precede it in time."""
    options = "open-gop=1:keyint=10:min-keyint=10:bframes=3:b-adapt=0:scenecut=0:crf=4"
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream(codec, rate=25, options={f"{codec[3:]}-params": options})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for image in numbered(FRAMES, 64, 64):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    with av.open(str(tmp_path / "a.mkv")) as whole:
        packets = [packet for packet in whole.demux(video=0) if packet.size]
        keys = [place for place, packet in enumerate(packets) if packet.is_keyframe]
        first = packets[keys[1]]
        leading = sum(packet.pts < first.pts for packet in packets[keys[1] :])
        assert leading
        with av.open(str(tmp_path / "b.mkv"), "w") as part:
            stream, start = part.add_stream_from_template(whole.streams.video[0]), first.dts
            for packet in packets[keys[1] :]:
                packet.stream, packet.pts, packet.dts = stream, packet.pts - start, packet.dts - start
                part.mux(packet)
    path, count = tmp_path / "b.mkv", len(packets) - keys[1] - leading
    found = examine(path)
    assert (found.frames, found.readable, found.damage, found.lost) == (count, count, None, leading)
    shown = [burnt_in(frame) for frame in frames(path, count, decoder)]  # type: ignore[arg-type]
    assert shown == list(range(FRAMES - count + 1, FRAMES + 1))
    assert examine(tmp_path / "a.mkv").lost == 0


@pytest.mark.parametrize("x264", ["keyint=20", "keyint=20:bframes=3"])
@pytest.mark.parametrize("lost", [1, 7, 25])
def test_a_trimmed_film_begins_with_the_first_frame_that_is_shown(
    film: Callable[..., Path], burnt_in: Callable[[Frame], int], x264: str, lost: int
) -> None:
    """A telephone trims a film without encoding it: an edit list hides what precedes the first frame."""
    path = film("a.mp4", {}, x264, times=[40 * (number - lost) for number in range(FRAMES)])
    found = examine(path)
    assert (found.frames, found.readable, found.damage) == (FRAMES - lost, FRAMES - lost, None)
    stream = pyav_frames.frames(path, FRAMES - lost)
    assert [burnt_in(frame) for frame in stream] == list(range(lost + 1, FRAMES + 1))
    with pytest.raises(PlaceError, match=r"frames that the file hides .* set decode\.decoder to pyav"):
        check_video(path, FRAMES - lost, "decord")


def test_frames_that_only_serve_as_references_do_not_count(tmp_path: Path, numbered: Numbered) -> None:
    rng = np.random.default_rng(0)
    with av.open(str(tmp_path / "a.webm"), "w") as file:
        stream = file.add_stream("libvpx", rate=25, options={"auto-alt-ref": "1", "lag-in-frames": "16"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in numbered(FRAMES, 64, 64):
            noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        file.mux(stream.encode())
    found = examine(tmp_path / "a.webm")
    assert (found.frames, found.damage) == (FRAMES, None)
    assert len(list(pyav_frames.frames(tmp_path / "a.webm", FRAMES))) == FRAMES


def test_a_film_cut_short_is_counted_only_if_its_rest_may_be_skipped(film: Callable[..., Path]) -> None:
    path = cut(film("a.mkv"), 40)
    assert count_frames(path, "skip") == FRAMES
    with pytest.raises(PlaceError, match="the film is cut short"):
        count_frames(path)


def test_text_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1,2,3,4,5,6\n" * 500)
    with pytest.raises(PlaceError, match=r"a\.txt: cannot be opened as a video"):
        examine(path)


def test_a_list_of_films_is_no_film(film: Callable[..., Path], tmp_path: Path) -> None:
    film("one.mp4")
    (tmp_path / "hall.mp4").write_text("ffconcat version 1.0\nfile one.mp4\n")
    with pytest.raises(PlaceError, match=r"hall\.mp4: .*list of other files"):
        examine(tmp_path / "hall.mp4")
