"""Footage as recorders, annotators and trackers leave it: containers, segments, images, and litter."""

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sttreid.config.conversion import parse
from sttreid.config.datasets import Validation
from sttreid.data.camera_videos import CameraVideos
from sttreid.data.decoding import decode_videos
from sttreid.data.describe import describe
from sttreid.data.readers.footage import FootageOptions, read_footage
from sttreid.data.tracklet_sheet import write_sheet
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store, open_store

Frame = NDArray[np.uint8]
FRAMES, SIZE = 12, (128, 96)  # width and height
LEVEL = 20  # grey levels from one frame to the next
BOX = "{},{},{},10,20,60"


def films(count: int = FRAMES, first: int = 1) -> list[Frame]:
    """Frame i is grey as its number says."""
    return [np.full((SIZE[1], SIZE[0], 3), LEVEL * i, np.uint8) for i in range(first, first + count)]


def lines(people: tuple[int, ...] = (1, 2), first: int = 1, tail: str = "", skip: int = 0) -> str:
    """Boxes in all frames but some of the first and the last."""
    frames = range(first + skip, first + FRAMES - skip)
    return "".join(BOX.format(f, p, 10 + 30 * (p % 3)) + tail + "\n" for f in frames for p in people)


def read(folder: Path, on_error: str = "raise", **content: object) -> CameraVideos:
    given = {"max_frame_gap": 3, "test": 0, "identity_scope": "global"} | content
    options = parse(FootageOptions, given, "options")
    return read_footage(folder, options, Validation(share=0.1, seed=0), on_error)  # type: ignore[arg-type]


def decoded(source: CameraVideos, out: Path) -> Store:
    decode_videos(source, 16, 8, out)
    return open_store(out)


def shown(store: Store) -> list[int]:
    """The frame that each crop shows."""
    return [round(float(np.asarray(store.frames[row]).mean()) / LEVEL) for row in range(len(store.index))]


@pytest.fixture
def film(write_video: Callable[..., Path]) -> Callable[..., Path]:
    return lambda path, **more: write_video(path, films(**more))


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".m4v", ".mov", ".mkv", ".avi"])
def test_every_container_is_found(tmp_path: Path, film: Callable[..., Path], suffix: str) -> None:
    for name in ("a", "b"):
        film(tmp_path / f"{name}.mkv").rename(tmp_path / f"{name}{suffix}")
        (tmp_path / f"{name}.txt").write_text(lines())
    store = decoded(read(tmp_path), tmp_path / "out" / "store")
    assert shown(store) == store.index["frame"].tolist()


def test_webm_is_found(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.webm"), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=12, options={"crf": "10", "b": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for pixels in films():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    (tmp_path / "a.csv").write_text("frame;id;x;y;w;h\n" + lines().replace(",", ";"))
    store = decoded(read(tmp_path), tmp_path / "out" / "store")
    assert shown(store) == store.index["frame"].tolist()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.ts", r"a\.txt: tracks must have a video .* got a\.ts, a stream whose frames cannot be counted"),
        ("a.xyz", r"a\.txt: tracks must have a video .* got a\.xyz, which is no container that is read"),
        ("b.mp4x", r"a\.txt: tracks must have a video .* got none"),
    ],
)
def test_a_video_that_is_there_is_not_called_missing(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "a.txt").write_text(lines())
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=sentence):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "a.xml", "a_tracks.json", "a.coco.json"])
def test_tracks_of_a_form_that_is_not_read_are_named(
    tmp_path: Path, film: Callable[..., Path], name: str
) -> None:
    film(tmp_path / "a.mp4")
    (tmp_path / "ab.json").write_text("{}")
    with pytest.raises(InputError, match=r"a\.txt: the tracks of a\.mp4 are missing: .*, got none$"):
        read(tmp_path)
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=rf"\.txt, \.csv, \.tsv of its name .*, got {re.escape(name)}$"):
        read(tmp_path)


@pytest.fixture
def segments(tmp_path: Path, film: Callable[..., Path]) -> Path:
    """Two cameras in two files each; people 1 and 2 are seen by the first alone, 4 and 5 by the second."""
    folder = tmp_path / "recorder"
    folder.mkdir()
    for camera, people in ((1, (1, 2)), (2, (4, 5))):
        for part in (1, 2):
            film(folder / f"cam{camera}_000{part}.mp4", first=1 if part == 1 else 0)
            (folder / f"cam{camera}_000{part}.txt").write_text(lines(people))
    return folder


def test_segments_are_one_camera(segments: Path, tmp_path: Path) -> None:
    source = read(segments)
    assert [(c.number, c.video.stem, c.before) for c in source.cameras] == [
        (1, "cam1_0001", 0), (1, "cam1_0002", FRAMES), (2, "cam2_0001", 0), (2, "cam2_0002", FRAMES),
    ]  # fmt: skip
    assert source.remarks[0].startswith("cam1 is one camera in 2 files: cam1_0001.mp4, cam1_0002.mp4")
    store = decoded(source, tmp_path / "store")
    assert len(store.tracklets) == 4  # a track goes on in the next file
    for frame, level in zip(store.index["frame"], shown(store), strict=True):
        assert level == (frame if frame <= FRAMES else frame - FRAMES - 1)
    with pytest.raises(InputError, match="a test needs an identity that two cameras see"):
        read(segments, test=0.5)
    assert write_sheet(source, tmp_path / "sheet.jpg", 4, 0) == []


def test_identities_of_segments_may_be_independent(segments: Path) -> None:
    assert read(segments).boxes["identity"].nunique() == 4
    assert read(segments, identity_scope="per_camera").boxes["identity"].nunique() == 4
    assert read(segments, identity_scope="per_file").boxes["identity"].nunique() == 8


def test_trackers_that_count_anew_in_each_file_of_a_camera_are_a_warning(segments: Path) -> None:
    def warned(scope: str) -> list[str]:
        return [text for text in read(segments, identity_scope=scope).warnings if "per_file" in text]

    for scope in ("global", "per_camera"):
        (warning,) = warned(scope)  # the second camera sees 4 and 5
        assert "cam1_0001, cam1_0002" in warning
    assert not warned("per_file")
    (segments / "cam1_0002.txt").write_text(lines((2, 3)))
    assert not warned("global")


def test_a_map_names_the_files_of_each_camera(segments: Path) -> None:
    source = read(segments, cameras={"front": ["cam2_0002.mp4", "cam1_0001"], "back": ["cam1_0002"]})
    assert [(c.number, c.video.stem, c.before) for c in source.cameras] == [
        (1, "cam2_0002", 0), (1, "cam1_0001", FRAMES), (2, "cam1_0002", 0),
    ]  # fmt: skip
    assert "of no camera in cameras, not used: cam2_0001" in source.warnings


def test_time_stamps_as_names_do_not_break_the_store(tmp_path: Path, film: Callable[..., Path]) -> None:
    for name in ("20240131120000123456789012345", "20240131120000123456789012346"):
        film(tmp_path / f"{name}.mp4")
        (tmp_path / f"{name}.txt").write_text(lines())
    store = decoded(read(tmp_path), tmp_path / "out" / "store")
    assert set(store.index["camera"]) == {1, 2}


def images(folder: Path, first: int, name: str = "{:06d}.png") -> None:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(films(), first):
        Image.fromarray(pixels).save(folder / name.format(number))


@pytest.mark.parametrize(("first_image", "first"), [(0, 0), (0, 1), (1, 1), (1, 0), (101, 101), (101, 1)])
def test_the_frames_of_images_are_found(tmp_path: Path, first_image: int, first: int) -> None:
    images(tmp_path / "a" / "hall", first_image)
    (tmp_path / "a" / "hall.txt").write_text(lines(first=first))
    tracks = {"first_frame": first} if first_image == 101 else {}
    store = decoded(read(tmp_path / "a", tracks=tracks), tmp_path / "store")
    assert shown(store) == sorted(range(1, FRAMES + 1)) * 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_shown_as_their_orientation_says(tmp_path: Path, orientation: int) -> None:
    """Boxes are in pixels of the upright image: trackers read images with OpenCV, which turns them."""
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a" / "hall").mkdir(parents=True)
    for number, pixels in enumerate(films(), 1):
        pixels[:48, :64] = 0  # so that the upper left quarter of the upright image is black
        stored = Image.fromarray(np.ascontiguousarray(turned[orientation](pixels)))
        stored.save(tmp_path / "a" / "hall" / f"{number:06d}.jpg", exif=exif, quality=95)
    boxes = ((1, 10, 8), (2, 80, 8), (3, 10, 56), (4, 80, 56))
    text = "".join(f"{f},{p},{x},{y},32,32\n" for f in range(1, FRAMES + 1) for p, x, y in boxes)
    (tmp_path / "a" / "hall.txt").write_text(text)
    source = read(tmp_path / "a")
    assert not source.warnings
    store = decoded(source, tmp_path / "store")
    black = store.index["identity"] == 1
    assert shown(store) == store.index["frame"].mask(black, 0).tolist()


def test_images_of_16_bits_are_told_rather_than_shown_white(tmp_path: Path) -> None:
    (tmp_path / "a" / "hall").mkdir(parents=True)
    (tmp_path / "a" / "hall.txt").write_text(lines())
    for number in range(1, FRAMES + 1):  # the last one is brighter than 8 bits allow
        levels = np.full((SIZE[1], SIZE[0]), 30_000 if number == FRAMES else LEVEL * number, np.uint16)
        Image.fromarray(levels).save(tmp_path / "a" / "hall" / f"{number:06d}.png")
    with pytest.raises(InputError, match=r"000012\.png: the image must have 8 bits .* got 30000"):
        decoded(read(tmp_path / "a"), tmp_path / "store")
    skipped = decode_videos(read(tmp_path / "a"), 16, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [("hall/000012.png", 2)]
    store = open_store(tmp_path / "store")
    assert shown(store) == store.index["frame"].tolist() == [*range(1, FRAMES)] * 2


@pytest.mark.parametrize(("level", "kind", "got"), [(0.5, np.float32, "fractions"), (-3, np.int32, "-3")])
def test_images_of_fractions_and_below_0_are_told_rather_than_shown_black(
    tmp_path: Path, level: float, kind: type, got: str
) -> None:
    (tmp_path / "a" / "hall").mkdir(parents=True)
    (tmp_path / "a" / "hall.txt").write_text(lines())
    levels = Image.fromarray(np.full((SIZE[1], SIZE[0]), level, kind))
    for number in range(1, FRAMES + 1):
        levels.save(tmp_path / "a" / "hall" / f"{number:06d}.png", "TIFF")
    with pytest.raises(InputError, match=rf"000001\.png: the image must have 8 bits .* got .*{got}"):
        decoded(read(tmp_path / "a"), tmp_path / "store")


def test_images_from_0_with_an_empty_last_frame_must_be_declared(tmp_path: Path) -> None:
    images(tmp_path / "a" / "hall", 0, "frame_{:06d}.png")
    (tmp_path / "a" / "hall.txt").write_text(lines(first=0, skip=1))
    with pytest.raises(InputError, match=r"tracks\.first_frame must be 0 or 1, got none"):
        read(tmp_path / "a")
    store = decoded(read(tmp_path / "a", tracks={"first_frame": 0}), tmp_path / "store")
    assert shown(store) == store.index["frame"].tolist() == [*range(2, FRAMES)] * 2


def test_a_video_that_leaves_the_first_frame_open_is_told(tmp_path: Path, film: Callable[..., Path]) -> None:
    film(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(lines(first=0, skip=2))
    assert any("frames are assumed to count from 1" in text for text in read(tmp_path).warnings)
    source = read(tmp_path, tracks={"first_frame": 0})
    assert not source.warnings
    text = describe("footage", tmp_path, {"max_frame_gap": "3", "test": "0", "tracks.first_frame": "0"})
    assert "first frame 0 (as tracks.first_frame says)" in text
    store = decoded(source, tmp_path / "out" / "store")
    assert shown(store) == store.index["frame"].tolist()


def test_a_cvat_export_gives_its_persons(tmp_path: Path) -> None:
    images(tmp_path / "task" / "img1", 1, "frame_{:06d}.png")
    (tmp_path / "task" / "gt").mkdir()
    text = lines((1, 2), tail=",1,2,1.0") + lines((3, 4), tail=",1,1,1.0")
    (tmp_path / "task" / "gt" / "gt.txt").write_text(text)
    (tmp_path / "task" / "gt" / "labels.txt").write_text("car\nperson\n")
    source = read(tmp_path)
    assert set(source.boxes["identity"]) == {1, 2}
    assert any("24 of another class: car: 24" in remark for remark in source.remarks)
    assert set(read(tmp_path, tracks={"class": "car"}).boxes["identity"]) == {3, 4}


def test_labels_of_ultralytics_are_read(tmp_path: Path, film: Callable[..., Path]) -> None:
    film(tmp_path / "hall.mp4")
    (tmp_path / "labels").mkdir()
    for frame in range(1, FRAMES + 1):
        text = "".join(f"0 {(20 + 30 * p) / 128} {40 / 96} {20 / 128} {60 / 96} {p}\n" for p in (1, 2))
        (tmp_path / "labels" / f"hall_{frame}.txt").write_text(text + "2 0.5 0.5 0.1 0.1 9\n")
    source = read(tmp_path)
    assert not source.warnings
    boxes = source.boxes[["left", "top", "width", "height"]].drop_duplicates()
    assert sorted(map(tuple, boxes.round(6).to_numpy().tolist())) == [(40, 10, 20, 60), (70, 10, 20, 60)]
    store = decoded(source, tmp_path / "out" / "store")
    assert shown(store) == store.index["frame"].tolist()


def label(left: float, top: float, width: float, height: float, person: int) -> str:
    """A line of ultralytics, of a box in pixels."""
    x, y = (left + width / 2) / SIZE[0], (top + height / 2) / SIZE[1]
    return f"0 {x} {y} {width / SIZE[0]} {height / SIZE[1]} {person}\n"


@pytest.fixture
def labelled(tmp_path: Path, film: Callable[..., Path]) -> Path:
    """A film with two people a frame, in a file per frame."""
    (tmp_path / "set").mkdir()
    film(tmp_path / "set" / "hall.mp4")
    (tmp_path / "set" / "labels").mkdir()
    for frame in range(1, FRAMES + 1):
        text = "".join(label(20 + 30 * p, 10, 20, 60, p) for p in (1, 2))
        (tmp_path / "set" / "labels" / f"hall_{frame}.txt").write_text(text)
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("frame", "line", "sentence"),
    [
        (FRAMES + 1, label(20, 10, 20, 60, 1), r"hall_13\.txt:1: frame must be between 1 and the video's 12"),
        (5, label(20, 10, 0, 60, 3), r"hall_5\.txt:4: width and height of a box must be above 0"),
        (5, label(20, 10, 20, 60, 2), r"hall_5\.txt:4: an identity must have one box per frame"),
        (5, label(20, 10, 20, 60, 3).replace(" 3", " 1.5"), r"hall_5\.txt:4: id must be a whole number"),
        (5, "0 0.5 0.5\n", r"hall_5\.txt:4: a line must hold class x y width height"),
    ],
)
def test_an_error_in_a_folder_of_labels_names_the_file_and_its_line(
    labelled: Path, frame: int, line: str, sentence: str
) -> None:
    for number in range(1, FRAMES + 1):  # with seven words, the last is the identity
        path = labelled / "labels" / f"hall_{number}.txt"
        path.write_text(re.sub(r" (\d)$", r" 0.9 \1", path.read_text(), flags=re.M))
    path = labelled / "labels" / f"hall_{frame}.txt"
    if len(words := line.split()) == 6:
        line = " ".join([*words[:5], "0.9", words[5]]) + "\n"
    path.write_text((path.read_text() + "\n" if path.exists() else "") + line)
    with pytest.raises(InputError, match=rf"/labels/{sentence}"):
        read(labelled)


def test_a_box_of_a_folder_of_labels_that_has_no_image_is_named(labelled: Path, tmp_path: Path) -> None:
    path = labelled / "labels" / "hall_5.txt"
    path.write_text(path.read_text() + label(127, 10, 20, 60, 3))
    (warning,) = read(labelled).warnings
    assert warning.endswith("(the first is hall_5.txt:3)")
    path.write_text(path.read_text() + label(20, 10, 20, 60, 3).replace(" 3", " 4"))
    source = read(labelled)
    (last,) = source.boxes.index[source.boxes["line"] == 4 * 2 + 4]
    source.boxes.loc[last, ["left", "top"]] = 500.0  # as of a later image that is smaller
    with pytest.raises(InputError, match=r"labels/hall_5\.txt:4: the box left 500"):
        decoded(source, tmp_path / "store")
    skipped = decode_videos(source, 16, 8, tmp_path / "store", "skip")
    assert "labels/hall_5.txt:4" in {entry["path"] for entry in skipped.images}


def test_identities_that_the_store_cannot_hold_are_numbered(
    tmp_path: Path, film: Callable[..., Path]
) -> None:
    names = {1: 2**64 - 1, 2: 2**53 + 1, 3: 2**53}
    for camera in ("a", "b"):
        film(tmp_path / f"{camera}.mp4")
        rows = [BOX.format(f, names[p], 10 + 30 * p) for f in range(1, FRAMES + 1) for p in names]
        (tmp_path / f"{camera}.txt").write_text("\n".join(rows))
    source = read(tmp_path)
    assert source.boxes.groupby("left")["identity"].unique().map(list).tolist() == [[3], [2], [1]]
    assert any(f"{2**53} is 1, {2**53 + 1} is 2" in remark for remark in source.remarks)
    assert decoded(source, tmp_path / "out" / "store").index["identity"].nunique() == 3


def test_damage_in_tracks_may_be_left_out(tmp_path: Path, film: Callable[..., Path]) -> None:
    film(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(lines() + "3,9,10,10,0,60\n13,1,10,10,20,60\n")
    with pytest.raises(InputError, match=r"a\.txt:25: width and height of a box must be above 0"):
        read(tmp_path)
    source = read(tmp_path, "skip")
    assert len(source.boxes) == 2 * FRAMES
    assert any("26 lines, 24 boxes used, 2 left out" in remark for remark in source.remarks)


def test_what_nobody_uses_is_named(tmp_path: Path, film: Callable[..., Path]) -> None:
    film(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(lines())
    for name in ("c3/c3.mp4", "__MACOSX/a.mp4", "@eaDir/a.mp4", ".hidden/a.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    for name in ("Thumbs.db", "desktop.ini", "notes.pdf"):
        (tmp_path / name).write_bytes(b"")
    assert read(tmp_path).warnings == ("not used in this folder: c3, notes.pdf",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "README.txt",
            "The films of the hall in 2024.\n\n1. Unpack them into a folder of your own choice.\n",
        ),
        ("classes.txt", "person\ncar\n"),
        ("table.txt", "a,b,c,d,e,f\n,,,,,,\n"),
        ("LICENSE.txt", "Copyright \xa9 2024\n"),
    ],
)
def test_a_text_that_holds_no_tracks_needs_no_video(
    tmp_path: Path, film: Callable[..., Path], name: str, text: str
) -> None:
    film(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(lines())
    (tmp_path / name).write_text(text, "latin-1")
    assert read(tmp_path).warnings == (f"not used in this folder: {name}",)
    for content in (lines(), "", "frame id x y w h\n" + lines().replace(",", " ")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=rf"{name}: tracks must have a video of the same name"):
            read(tmp_path)


@pytest.mark.parametrize("name", ["frame{:04d}.png", "img{:05d}.png", "cam 2 {}.png", "c1-{:03d}.png"])
def test_images_may_have_a_word_before_their_number(tmp_path: Path, name: str) -> None:
    images(tmp_path / "a" / "hall", 1, name)
    (tmp_path / "a" / "hall.txt").write_text(lines())
    store = decoded(read(tmp_path / "a"), tmp_path / "store")
    assert shown(store) == store.index["frame"].tolist()


def test_the_sheet_shows_films_that_decord_does_not_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mpg"), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for pixels in films():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    (tmp_path / "a.txt").write_text(lines())
    assert write_sheet(read(tmp_path), tmp_path / "sheet.jpg", 4, 0) == []


def test_a_sequence_of_another_size_is_told(tmp_path: Path) -> None:
    images(tmp_path / "task" / "img1", 1)
    (tmp_path / "task" / "gt").mkdir()
    (tmp_path / "task" / "gt" / "gt.txt").write_text(lines(tail=",1,1,1"))
    (tmp_path / "task" / "seqinfo.ini").write_text("[Sequence]\nimWidth=1920\nimHeight=1080\n")
    assert any("may be of another size: 1920 x 1080" in text for text in read(tmp_path).warnings)
    (tmp_path / "task" / "seqinfo.ini").write_text("[Sequence]\nseqLength=1000000000000\n")
    with pytest.raises(
        InputError, match=r"seqinfo\.ini: seqLength must be the number of images, whose last is 12"
    ):
        read(tmp_path)


def test_the_folder_of_a_sequence_has_a_possible_name(tmp_path: Path) -> None:
    images(tmp_path / "task" / "img1", 1)
    (tmp_path / "task" / "gt").mkdir()
    (tmp_path / "task" / "gt" / "gt.txt").write_text(lines(tail=",1,1,1"))
    (tmp_path / "task" / "seqinfo.ini").write_text(f"[Sequence]\nimDir={'(' * 5000}\n")
    with pytest.raises(InputError, match=r"seqinfo\.ini: a path must have at most"):
        read(tmp_path)


def test_visdrone_is_read_as_it_is_published(tmp_path: Path) -> None:
    images(tmp_path / "sequences" / "uav0000086_00000_v", 1, "{:07d}.png")
    (tmp_path / "annotations").mkdir()
    text = lines((1,), tail=",1,1,0,0") + lines((2,), tail=",1,4,0,2") + lines((3,), tail=",1,2,1,1")
    (tmp_path / "annotations" / "uav0000086_00000_v.txt").write_text(text)
    assert set(read(tmp_path).boxes["identity"]) == {1, 3}


def test_a_video_that_cannot_be_opened_is_listed_with_all_of_its_boxes(
    tmp_path: Path, film: Callable[..., Path]
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("c1", "c2"):
        film(folder / f"{name}.mp4")
        (folder / f"{name}.txt").write_text(lines(skip=1))
    (folder / "c2.mp4").write_bytes(b"a recording that broke off")
    with pytest.raises(InputError, match=r"c2\.mp4: cannot be opened as a video"):
        read(folder)
    source = read(folder, "skip")
    assert any("c2.mp4" in warning for warning in source.warnings)
    skipped = decode_videos(source, 16, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [("c2.mp4", 20)]
    assert {row["camera"] for row in skipped.tracklets} == {2}
    assert set(open_store(tmp_path / "store").index["camera"]) == {1}


def test_boxes_left_out_are_listed_by_file_and_reason(tmp_path: Path, film: Callable[..., Path]) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    film(folder / "c1.mp4")
    (folder / "c1.txt").write_text(
        lines(tail=",1,-1,-1,-1") + "3,9,1,1,0,5,1,-1,-1,-1\n4,-1,1,1,5,5,1,-1,-1,-1\n"
    )
    source = read(folder, "skip")
    skipped = decode_videos(source, 16, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [("c1.txt", 1), ("c1.txt", 1)]
    assert len(open_store(tmp_path / "store").index) == 24


def test_large_and_small_identities_of_different_files_stay_apart(
    tmp_path: Path, film: Callable[..., Path]
) -> None:
    for name, people in (("c1", (5, 6)), ("c2", (2**64 - 1, 2**64 - 2))):
        film(tmp_path / f"{name}.mp4")
        (tmp_path / f"{name}.txt").write_text(lines(people=people))
    assert sorted(set(read(tmp_path).boxes["identity"])) == [1, 2, 3, 4]
