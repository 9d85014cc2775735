"""A user's own footage: what its videos look like, who is who, who tests, and what is refused."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from sttreid.config import paths
from sttreid.config.datasets import Validation
from sttreid.data.decoding import decode_videos
from sttreid.data.index import index
from sttreid.data.readers.footage import FootageOptions, read_footage
from sttreid.runtime.errors import InputError
from sttreid.stages import decode
from sttreid.stages.command import run
from sttreid.tracklets.store import Store, open_store
from tests.tiny import parameters

Frame = NDArray[np.uint8]
Write = Callable[..., Path]
MINE = FootageOptions(max_frame_gap=3, test=0.5, identity_scope="global")
VALIDATION = Validation(share=0.1, seed=0)
FRAMES, HEIGHT, WIDTH = 6, 96, 128
PEOPLE = (1, 2, 3, 4, 7, 9)  # 7 is seen by the hall alone, 9 by the door alone
COLOURS = np.random.default_rng(0).integers(30, 226, (10, 3))
MATRICES = {  # of the display: a, b, c, d
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "by 45 degrees": (0.7071, 0.7071, -0.7071, 0.7071),
}


def boxes(camera: str, frame: int) -> list[tuple[int, int, int, int, int]]:
    """Identity, left, top, width, height in an image of 128 x 96."""
    seen = [person for person in PEOPLE if {7: "hall", 9: "door"}.get(person, camera) == camera]
    return [(person, 3 + 20 * position + frame, 7 + frame, 16, 48) for position, person in enumerate(seen)]


def image(camera: str, frame: int, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    """Everybody's box in a colour of their own; its lower half is as bright as the frame's number says."""
    output = np.full((height, width, 3), 60, np.uint8)
    for person, left, top, wide, high in boxes(camera, frame):
        output[top : top + high, left : left + wide] = COLOURS[person]
        output[top + high // 2 : top + high, left : left + wide] = 30 * frame
    return output


def lines(camera: str, tail: str = ",1,1,1") -> str:
    return "".join(
        f"{frame},{','.join(map(str, box))}{tail}\n"
        for frame in range(1, FRAMES + 1)
        for box in boxes(camera, frame)
    )


def images(camera: str, height: int = HEIGHT, width: int = WIDTH) -> list[Frame]:
    return [image(camera, frame, height, width) for frame in range(1, FRAMES + 1)]


@pytest.fixture
def mine(tmp_path: Path, write_video: Write) -> Path:
    """Two cameras as videos, one as a MOTChallenge sequence; the folder has a space and an umlaut."""
    folder = tmp_path / "Meine Aufnahmen für heute"
    folder.mkdir()
    for camera in ("hall", "door"):
        write_video(folder / f"{camera}.mp4", images(camera))
        (folder / f"{camera}.txt").write_text(lines(camera))
    sequence(folder / "lobby")
    return folder


def sequence(folder: Path) -> None:
    (folder / "gt").mkdir(parents=True)
    (folder / "img1").mkdir()
    (folder / "gt" / "gt.txt").write_text(lines("lobby"))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=lobby\nimDir=img1\nframeRate=25\nseqLength={FRAMES}\n"
        f"imWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.png\n"
    )
    for number, output in enumerate(images("lobby"), 1):
        Image.fromarray(output).save(folder / "img1" / f"{number:06d}.png")


def decoded(folder: Path, out: Path, options: FootageOptions = MINE) -> Store:
    decode_videos(read_footage(folder, options, VALIDATION), 24, 8, out)
    return open_store(out)


def assert_shows_every_identity(store: Store, margin: int = 8) -> None:
    """Every crop is upright, in its place and of its frame."""
    upper, lower = store.frames[:, 6, 4].astype(int), store.frames[:, 18, 4].astype(int)
    assert np.abs(upper - COLOURS[store.index["identity"]]).max() <= margin
    assert np.abs(lower - 30 * store.index["frame"].to_numpy()[:, None]).max() <= margin


def refusal(folder: Path, options: FootageOptions = MINE) -> str:
    with pytest.raises(InputError) as error:
        read_footage(folder, options, VALIDATION)
    return str(error.value)


def test_videos_and_sequences_become_crops(mine: Path, tmp_path: Path) -> None:
    store = decoded(mine, tmp_path / "store")
    assert_shows_every_identity(store)
    assert len(store.frames) == FRAMES * (5 + 5 + 4)
    assert len(store.tracklets) == 5 + 5 + 4
    result = store.tracklets.groupby("camera")["identity"].unique().map(sorted).to_dict()
    assert result == {1: [1, 2, 3, 4, 9], 2: [1, 2, 3, 4, 7], 3: [1, 2, 3, 4]}  # door, hall, lobby


def test_cameras_are_numbered_by_their_names(mine: Path, write_video: Write) -> None:
    assert {c.number: c.video.stem for c in read_footage(mine, MINE, VALIDATION).cameras} == {
        1: "door",
        2: "hall",
        3: "img1",
    }
    for old, new in (("hall", "cam_12"), ("door", "cam_2")):
        for suffix in (".mp4", ".txt"):
            (mine / f"{old}{suffix}").rename(mine / f"{new}{suffix}")
    (mine / "lobby").rename(mine / "lobby-07")
    result = {c.number: c.tracks.name for c in read_footage(mine, MINE, VALIDATION).cameras}
    assert result == {2: "cam_2.txt", 7: "gt.txt", 12: "cam_12.txt"}


def test_identities_are_drawn(mine: Path) -> None:
    result = read_footage(mine, MINE, VALIDATION).boxes
    splits = result.drop_duplicates("identity").set_index("identity")["split"]
    assert splits[[1, 2, 3, 4]].value_counts().to_dict() == {"test": 2, "validation": 1, "train": 1}
    assert sorted(splits[[7, 9]]) == ["distractors", "train"]
    again = read_footage(mine, MINE, VALIDATION).boxes
    pd.testing.assert_frame_equal(result, again)
    other = {seed: read_footage(mine, MINE, replace(VALIDATION, seed=seed)) for seed in range(5)}
    assert len({tuple(source.boxes["split"]) for source in other.values()}) > 1


def test_a_set_may_only_train(mine: Path) -> None:
    result = read_footage(mine, replace(MINE, test=0.0), VALIDATION).boxes
    assert set(result["split"]) == {"train", "validation"}


def test_cameras_may_count_for_themselves(mine: Path) -> None:
    result = read_footage(mine, replace(MINE, test=0.0, identity_scope="per_camera"), VALIDATION).boxes
    assert result.groupby("identity")["camera"].nunique().eq(1).all()
    assert result["identity"].nunique() == 5 + 5 + 4
    assert set(result["identity"] % 1_000_000) == set(PEOPLE)


def test_a_gap_breaks_a_track(mine: Path, tmp_path: Path) -> None:
    path = mine / "hall.txt"
    kept = [line for line in path.open() if not line.startswith(("2,1,", "3,1,"))]
    path.write_text("".join(kept))
    assert len(decoded(mine, tmp_path / "a").tracklets) == 14
    assert len(decoded(mine, tmp_path / "b", replace(MINE, max_frame_gap=2)).tracklets) == 15


def test_what_motchallenge_does_not_consider_is_ignored(mine: Path) -> None:
    before = read_footage(mine, MINE, VALIDATION).boxes
    with (mine / "lobby" / "gt" / "gt.txt").open("a") as file:
        for row in ("1,50,1,1,9,9,0,1,1", "1,51,1,1,9,9,1,3,1", "1,52,1,1,9,9,1,12,0.5", "1,1,1,1,9,9,0,8,1"):
            file.write(row + "\n")
    assert read_footage(mine, MINE, VALIDATION).boxes.equals(before)


@pytest.mark.parametrize("text", ["", "\n", "1,50,1,1,9,9,0,1,1\n"])
def test_a_camera_may_see_no_pedestrian(mine: Path, text: str) -> None:
    (mine / "lobby" / "gt" / "gt.txt").write_text(text)
    result = read_footage(mine, MINE, VALIDATION)
    assert len(result.cameras) == 3
    assert set(result.boxes["camera"]) == {1, 2}
    assert result.boxes["identity"].dtype == np.int64


@pytest.mark.parametrize("tail", ["", ",0.73", ",1,-1,-1,-1", ",-1,-1,-1,-1"])
def test_the_columns_of_a_tracker_are_accepted(mine: Path, tail: str) -> None:
    (mine / "hall.txt").write_text(lines("hall", tail))
    assert len(read_footage(mine, MINE, VALIDATION).boxes) == FRAMES * (5 + 5 + 4)


def turn(path: Path, how: object) -> None:
    """Write a display matrix into the header of an MP4's track."""
    a, b, c, d = (round(65536 * number) for number in MATRICES[how])
    content = bytearray(path.read_bytes())
    position = content.find(b"tkhd") + 44
    content[position : position + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotated_videos_give_upright_crops(
    mine: Path, tmp_path: Path, write_video: Write, angle: int
) -> None:
    upright = images("hall")
    write_video(
        mine / "hall.mp4", [np.rot90(output, angle // 90) for output in upright]
    )  # as the sensor sees it
    turn(mine / "hall.mp4", angle)
    assert_shows_every_identity(decoded(mine, tmp_path / "store"))


@pytest.mark.parametrize("how", ["mirrored", "by 45 degrees"])
def test_what_decord_would_show_wrongly_is_refused(mine: Path, how: str) -> None:
    turn(mine / "hall.mp4", how)
    assert refusal(mine).startswith(f"{mine / 'hall.mp4'}: the video must be shown upright or rotated by 90")


def test_a_variable_frame_rate_moves_no_box(mine: Path, tmp_path: Path, write_video: Write) -> None:
    write_video(mine / "hall.mp4", images("hall"), times=[0, 40, 45, 900, 910, 2000])
    assert_shows_every_identity(decoded(mine, tmp_path / "store"))


@pytest.mark.parametrize(("height", "width"), [(95, 127), (97, 131), (96, 129), (101, 144)])
def test_odd_sizes_give_correct_crops(
    mine: Path, tmp_path: Path, write_video: Write, height: int, width: int
) -> None:
    write_video(mine / "hall.mp4", images("hall", height, width))
    assert_shows_every_identity(decoded(mine, tmp_path / "store"))


def test_a_sequence_may_hold_a_video(mine: Path, tmp_path: Path, write_video: Write) -> None:
    for path in (mine / "lobby" / "img1").iterdir():
        path.unlink()
    (mine / "lobby" / "img1").rmdir()
    write_video(mine / "lobby" / "lobby.mkv", images("lobby"))
    (mine / "lobby" / "seqinfo.ini").unlink()
    (mine / "lobby" / "._lobby.mkv").write_bytes(b"what macOS writes next to a file")
    assert_shows_every_identity(decoded(mine, tmp_path / "store"))


def test_links_are_followed(mine: Path, tmp_path: Path) -> None:
    (mine / "lobby").rename(tmp_path / "elsewhere")
    (mine / "lobby").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(mine)
    assert_shows_every_identity(decoded(tmp_path / "link", tmp_path / "store"))


def test_a_damaged_video_is_told_with_its_frame(mine: Path, tmp_path: Path, write_video: Write) -> None:
    path = write_video(mine / "hall.mp4", images("hall"), {"movflags": "faststart"}, "keyint=1")
    with av.open(
        str(path)
    ) as file:  # a frame that is damaged in its middle may be concealed: take whole ones
        fourth = sorted(packet.pos for packet in file.demux(video=0) if packet.size)[3]
    content = path.read_bytes()[:fourth]
    path.write_bytes(content.ljust(path.stat().st_size, b"\0"))
    with pytest.raises(InputError, match=rf"hall\.mp4: frame \d of {FRAMES}"):
        decoded(mine, tmp_path / "store")
    source = read_footage(mine, MINE, VALIDATION)
    skipped = decode_videos(source, 24, 8, tmp_path / "store", "skip")
    (entry,) = skipped.images
    assert entry["path"] == "hall.mp4"
    assert entry["reason"].startswith("frame ")
    assert entry["boxes"] == sum(row["missing"] for row in skipped.tracklets)
    store = open_store(tmp_path / "store")
    assert len(store.frames) == FRAMES * (5 + 5 + 4) - entry["boxes"]
    assert_shows_every_identity(store)


def test_a_damaged_and_a_missing_image_are_told_and_listed(mine: Path, tmp_path: Path) -> None:
    folder = mine / "lobby" / "img1"
    (folder / "000002.png").write_bytes((folder / "000002.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"000002\.png: the image cannot be decoded"):
        decoded(mine, tmp_path / "store")
    (folder / "000005.png").unlink()
    source = read_footage(mine, MINE, VALIDATION)
    skipped = decode_videos(source, 24, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [
        ("lobby/img1/000002.png", 4),
        ("lobby/img1", 4),
    ]
    assert skipped.images[1]["reason"] == "the image of frame 5 is missing"
    assert [(row["images"], row["missing"]) for row in skipped.tracklets] == [(FRAMES, 2)] * 4
    assert str(tmp_path) not in str(skipped)
    assert_shows_every_identity(open_store(tmp_path / "store"))


def test_a_camera_may_have_a_colon_in_its_name(mine: Path, tmp_path: Path) -> None:
    for suffix in (".mp4", ".txt"):
        (mine / f"hall{suffix}").rename(mine / f"hall: left{suffix}")
    source = read_footage(mine, MINE, VALIDATION)
    (last,) = source.boxes.index[(source.boxes["camera"] == 2) & (source.boxes["line"] == 5 * FRAMES)]
    source.boxes.loc[last, ["left", "top"]] = 500.0  # reading leaves such a box out
    (entry,) = decode_videos(source, 24, 8, tmp_path / "store", "skip").images
    assert entry["path"] == f"hall: left.txt:{5 * FRAMES}"
    assert entry["reason"].startswith("the box left 500")


def test_the_stage_decodes_footage_that_lies_elsewhere(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    content = parameters({"decode.on_error": "skip"})
    options = {"max_frame_gap": 3, "test": 0.5, "identity_scope": "global"}
    content["datasets"]["mine"] = {"reader": "footage", "root": "sets/mine.json", **options}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    (mine / "lobby" / "img1" / "000003.png").write_bytes(b"")
    sentence = index("mine", mine)
    assert f"camera 2: hall.mp4, {FRAMES} frames\n" in sentence
    assert f"test: 2 identities, {2 * 3 * FRAMES} boxes\n" in sentence
    run(decode.main, ["mine"])
    store = open_store(paths.tracklets("mine"))
    assert store.gallery()["query"].sum() == 6  # two identities in three cameras
    (entry,) = json.loads(paths.skipped("mine").read_text())["images"]
    assert (entry["path"], entry["boxes"]) == ("lobby/img1/000003.png", 4)


def spoil(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "hall.txt").unlink(), "hall.txt: the tracks of hall.mp4 are missing"),
        (spoil("yard.txt", "1,1,1,1,1,1"), "yard.txt: tracks must have a video of the same name"),
        (spoil("hall.mp4", "no video"), "hall.mp4: cannot be opened as a video"),
        (spoil("hall.txt", "7,1,1,1,9,9"), "hall.txt:1: frame must be between 1 and the video's 6, got 7"),
        (
            spoil("hall.txt", "6,1,1,1,9,9\n0,1,1,1,9,9"),
            "hall.txt:1: frame must be between 0 and the video's 5",
        ),
        (lambda folder: (folder / "lobby/gt/gt.txt").unlink(), "lobby: a sequence must have gt/gt.txt"),
        (spoil("lobby/seqinfo.ini", "[Sequence]\nimDir=../../x"), "a path must stay inside the data set"),
        (spoil("lobby/seqinfo.ini", "[Sequence]\nimDir=/etc"), "a path must stay inside the data set"),
        (
            spoil("lobby/seqinfo.ini", "nonsense"),
            "seqinfo.ini: must be an INI file with the section Sequence",
        ),
        (spoil("lobby/seqinfo.ini", "[Sequence]\nseqLength=x"), "seqinfo.ini: must be an INI file"),
        (
            spoil("lobby/seqinfo.ini", "[Sequence]\nimDir=img2"),
            "lobby: a sequence must hold its images in img2/",
        ),
        (
            spoil("lobby/img1/cover.jpg", ""),
            "cover.jpg: the image of a frame must be named like 000001.jpg",
        ),
        (spoil("lobby/img1/1.jpg", ""), "1.jpg: frame 1 must have one image, got also 000001.png"),
        (spoil("hall.mkv", ""), "a camera must have one video, got 'hall' twice"),
    ],
)
def test_what_breaks_a_rule_is_told(mine: Path, change: Callable[[Path], object], message: str) -> None:
    change(mine)
    assert message in refusal(mine)


def test_a_wrong_folder_is_told_what_was_looked_for_and_found(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "gone")
    assert refusal(tmp_path).endswith("found nothing")
    (tmp_path / "bbox_train").mkdir()
    assert refusal(tmp_path) == (
        f"{tmp_path}: looked for <camera>.mp4 with <camera>.txt, or <sequence>/gt/gt.txt, found bbox_train"
    )


def test_a_test_needs_an_identity_of_two_cameras(mine: Path) -> None:
    for name in ("hall.mp4", "hall.txt"):
        (mine / name).unlink()
    (mine / "lobby").rename(mine / ".lobby")
    assert "a test needs an identity that two cameras see (or set test to 0), got 5 identities" in refusal(
        mine
    )
