import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sttreid.data import decord_frames, film_segments, pyav_frames
from sttreid.data.films import examine
from sttreid.data.videos import frames
from sttreid.runtime.errors import InputError

Frame = NDArray[np.uint8]
Write = Callable[..., Path]
Numbered = Callable[[int, int, int], list[Frame]]


def by_decord(path: Path, expected: int) -> list[Frame]:
    """Without the process around it."""
    return [frame.copy() for frame in decord_frames.frames(path, expected)]


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


def test_a_truncated_stream_is_refused_as_cut_short(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "v.mkv", numbered(60, 64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "the film is cut short" in refusal(path, 60)


def test_a_damaged_packet_is_refused_with_a_frame_and_a_reason(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60, 64, 64), {"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    middle = (content.find(b"mdat") + len(content)) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    message = refusal(path, 60)
    assert "of 60 cannot be decoded" in message
    assert "src/" not in message
    assert "\n" not in message


def test_a_transport_stream_is_refused_rather_than_misread(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "v.ts", numbered(60, 64, 64), {}, "keyint=30")
    assert "set decode.decoder to pyav" in refusal(path, 60)


def test_a_transport_stream_is_read_by_the_other_decoder(
    tmp_path: Path, write_video: Write, numbered: Numbered, burnt_in: Callable[[Frame], int]
) -> None:
    path = write_video(tmp_path / "v.ts", numbered(60, 64, 64), {}, "keyint=30")
    assert [burnt_in(frame) for frame in frames(path, 60, "pyav")] == list(range(1, 61))


@pytest.mark.parametrize(
    ("name", "x264"),
    [
        ("a.mp4", "keyint=10"),
        ("open-gop.mp4", "open-gop=1:keyint=10:bframes=3"),
        ("b-frames.avi", "bframes=3"),
        ("b-frames.mkv", "bframes=3"),
    ],
)
@pytest.mark.parametrize("width", [48, 64, 127])
def test_the_decoders_give_equal_pixels(
    tmp_path: Path, write_video: Write, numbered: Numbered, name: str, x264: str, width: int
) -> None:
    path = write_video(tmp_path / name, numbered(40, width, 64), {}, x264)
    one, two = by_decord(path, 40), list(pyav_frames.frames(path, 40))
    assert len(one) == len(two) == 40
    assert all(map(np.array_equal, one, two))


def turned(path: Path, quarters: int) -> Path:
    """Let the header of an MP4 file turn the film."""
    cos, sin = round(np.cos(quarters * np.pi / 2)), round(np.sin(quarters * np.pi / 2))
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 44
    numbers = (cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *numbers)
    path.write_bytes(content)
    return path


def copied(path: Path, copy: Path, bits: str = "null", tag: str = "") -> Path:
    """A film in another file, not encoded again, through a filter of its packets, with a tag ``rotate``."""
    with av.open(str(path)) as one, av.open(str(copy), "w") as two:
        stream = two.add_stream_from_template(one.streams.video[0])
        if tag:
            stream.metadata["rotate"] = tag
        through = av.bitstream.BitStreamFilterContext(bits, one.streams.video[0], stream)
        for packet in one.demux(video=0):
            for changed in through.filter(packet) if packet.size else ():
                changed.stream = stream
                two.mux(changed)
    return copy


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_both_decoders_show_a_rotated_video_upright(
    tmp_path: Path, write_video: Write, numbered: Numbered, quarters: int
) -> None:
    path = turned(write_video(tmp_path / "a.mp4", numbered(12, 96, 64)), quarters)
    one, two = by_decord(path, 12), list(pyav_frames.frames(path, 12))
    assert one[0].shape[:2] == ((64, 96) if quarters == 2 else (96, 64))
    assert all(map(np.array_equal, one, two))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_film_is_upright_wherever_its_turn_is_written(
    tmp_path: Path, write_video: Write, numbered: Numbered, quarters: int
) -> None:
    """decord finds it in the header of MP4, not in that of Matroska."""
    plain = write_video(tmp_path / "plain.mp4", numbered(12, 96, 64))
    upright = [np.rot90(frame, -quarters) for frame in frames(plain, 12)]
    paths = [
        turned(copied(plain, tmp_path / "a.mp4"), quarters),
        copied(tmp_path / "a.mp4", tmp_path / "a.mkv"),
        copied(tmp_path / "a.mp4", tmp_path / "tag.mkv", tag=str(90 * quarters)),
    ]
    for path in paths:
        assert all(map(np.array_equal, frames(path, 12), upright)), path.name


def test_a_turn_that_not_all_programs_see_is_refused(
    tmp_path: Path, write_video: Write, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "a.mp4", numbered(12, 96, 64))
    assert "rotate=90" in refusal(copied(path, tmp_path / "tag.mkv", tag="90"), 12)
    assert len(list(frames(copied(path, tmp_path / "zero.mkv", tag="0"), 12))) == 12
    inside = "h264_metadata=display_orientation=insert:rotate=180"
    assert "display orientation" in refusal(copied(path, tmp_path / "inside.mp4", inside), 12)
    deep = interlaced(tmp_path / "deep.mp4", numbered(12, 96, 64), "libx264", {}, 1, "yuv420p10le")
    copy = copied(turned(deep, 1), tmp_path / "deep.mkv")
    assert "set decode.decoder to pyav" in refusal(copy, 12)
    assert [frame.shape for frame in frames(copy, 12, "pyav")] == [(96, 64, 3)] * 12
    assert [frame.shape for frame in frames(deep, 12)] == [(96, 64, 3)] * 12


@pytest.mark.parametrize("x264", ["keyint=10:bframes=3", "keyint=10:bframes=3:open-gop=1", "keyint=40"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_film_in_segments_gives_the_pixels_of_the_whole(
    tmp_path: Path,
    write_video: Write,
    numbered: Numbered,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    x264: str,
) -> None:
    path = write_video(tmp_path / name, numbered(60, 64, 64), {}, x264)
    whole = by_decord(path, 60)
    monkeypatch.setattr(film_segments, "SEGMENT_BYTES", 1500)
    parts = [
        frame
        for part, count in film_segments.segments(path, examine(path))
        for frame in by_decord(part, count)
    ]
    assert len(whole) == len(parts)
    assert all(map(np.array_equal, whole, parts))


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.webm", "libvpx", "yuv420p"), ("a.mov", "mjpeg", "yuvj420p")],
)
@pytest.mark.parametrize("steady", [True, False])
def test_segments_need_no_frame_rate_and_no_length(
    tmp_path: Path,
    numbered: Numbered,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    codec: str,
    pixels: str,
    steady: bool,
) -> None:
    """Such films do not give a rate; it cannot be told from few frames, nor from many at uneven times."""
    with av.open(str(tmp_path / name), "w") as file:
        stream = file.add_stream(codec, rate=25, options={"g": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 64, pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        for number, image in enumerate(numbered(20, 64, 64)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = 40 * number + (0 if steady else 13 * (number % 3)), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    path = tmp_path / name
    whole, found = by_decord(path, 20), examine(path)
    for length in (1, 1000):
        monkeypatch.setattr(film_segments, "SEGMENT_BYTES", length)
        parts = [by_decord(part, count) for part, count in film_segments.segments(path, found)]
        assert len(parts) > 1
        assert sum(map(len, parts)) == 20
        assert all(map(np.array_equal, whole, [frame for part in parts for frame in part]))


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_film_without_its_length_in_time_is_read(
    tmp_path: Path, numbered: Numbered, burnt_in: Callable[[Frame], int], name: str
) -> None:
    """Recorders that write to a stream, as in a browser, do not go back to the header."""
    with av.open(str(tmp_path / name), "w", options={"live": "1"}) as file:
        stream = file.add_stream("libvpx", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in numbered(20, 64, 64):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    assert not examine(tmp_path / name).has_length
    assert [burnt_in(frame) for frame in frames(tmp_path / name, 20)] == list(range(1, 21))


def test_a_long_film_comes_whole(
    tmp_path: Path,
    write_video: Write,
    numbered: Numbered,
    burnt_in: Callable[[Frame], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_video(tmp_path / "a.mp4", numbered(60, 64, 64), {}, "keyint=10")
    monkeypatch.setattr(film_segments, "SEGMENT_BYTES", 3000)
    assert [burnt_in(frame) for frame in frames(path, 60)] == list(range(1, 61))


def test_a_long_film_is_cut_where_decoding_may_start(
    tmp_path: Path, write_video: Write, numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_segments, "SEGMENT_BYTES", 1500)
    closed = write_video(tmp_path / "a.mp4", numbered(60, 64, 64), {}, "keyint=10:scenecut=0")
    parts = []
    for part, count in film_segments.segments(closed, examine(closed)):
        assert examine(part).frames == count
        parts.append(count)
    assert len(parts) > 1
    assert sum(parts) == 60
    assert all(count % 10 == 0 for count in parts)
    untimed = write_video(tmp_path / "b.avi", numbered(60, 64, 64), {}, "keyint=10:bframes=3")
    assert list(film_segments.segments(untimed, examine(untimed))) == [(untimed, 60)]


def test_the_frames_before_a_damage_are_the_same_in_every_run(
    tmp_path: Path, write_video: Write, numbered: Numbered, burnt_in: Callable[[Frame], int]
) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60, 64, 64), {"movflags": "faststart"}, "keyint=1")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        place = [packet.pos for packet in file.demux(video=0) if packet.size][40]
    content[place : place + 30] = bytes(30)
    path.write_bytes(content)
    stream = frames(path, 60)
    assert [burnt_in(frame) for frame in islice(stream, 40)] == list(range(1, 41))
    with pytest.raises(InputError, match="frame 41 of 60"):
        next(stream)


def interlaced(
    path: Path,
    images: list[Frame],
    codec: str,
    options: dict[str, str],
    colours: int,
    pixels: str = "yuv420p",
) -> Path:
    """A film of two fields a frame, whose rows differ in colour, if the options say so."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.colorspace = stream.codec_context.color_primaries = colours
        stream.codec_context.thread_count = 1
        for image in images:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("colours", [1, 2, 6])  # BT.709, unspecified, BT.601
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"x264-params": "tff=1:keyint=10"}),
        ("a.mkv", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_the_decoders_give_equal_pixels_of_interlaced_films(
    tmp_path: Path, numbered: Numbered, name: str, codec: str, options: dict[str, str], colours: int
) -> None:
    """In recordings of old cameras, neighbouring rows are of different times."""
    images = numbered(20, 64, 64)
    for number, image in enumerate(images):
        image[32:] = np.random.default_rng(number).integers(0, 256, (32, 1, 3))
    path = interlaced(tmp_path / name, images, codec, options, colours)
    with av.open(str(path)) as file:
        assert next(file.decode(video=0)).interlaced_frame
    one, two = by_decord(path, 20), list(pyav_frames.frames(path, 20))
    assert len(one) == len(two) == 20
    assert all(map(np.array_equal, one, two))
