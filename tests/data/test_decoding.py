import errno
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sttreid.data import decoding
from sttreid.data.camera_videos import CameraVideos, LeftOut, assign_tracklets
from sttreid.data.decoding import decode_videos
from sttreid.data.readers.cameras import read_cameras
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Skipped, Store, open_store

Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


def decoded(source: CameraVideos, folder: Path) -> Store:
    assert decode_videos(source, 16, 8, folder) == Skipped([], [])
    return open_store(folder)


def test_every_crop_shows_its_identity_and_its_frame(painted: Path, tmp_path: Path) -> None:
    store = decoded(read_cameras(painted), tmp_path / "store")
    assert store.frames.shape == (len(read_cameras(painted).boxes), 16, 8, 3)
    upper, lower = store.frames[:, 3, 4].mean(axis=1), store.frames[:, 12, 4].mean(axis=1)
    assert np.abs(upper - 25 * store.index["identity"]).max() <= 6
    assert np.abs(lower - 25 * store.index["frame"]).max() <= 6


def test_crops_equal_those_of_another_decoder(painted: Path, tmp_path: Path) -> None:
    source = read_cameras(painted)
    store = decoded(source, tmp_path / "store")
    boxes = source.boxes.set_index(["camera", "identity", "frame"])
    for camera in source.cameras:
        with av.open(str(camera.video)) as file:
            images = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
        for row in np.flatnonzero(store.index["camera"] == camera.number):
            entry = store.index.loc[row]
            left, top, width, height = boxes.loc[
                (camera.number, entry["identity"], entry["frame"]), ["left", "top", "width", "height"]
            ].astype(int)
            cut = images[entry["frame"] - 1].crop((left, top, left + width, top + height))
            expected = np.asarray(cut.resize((8, 16), Image.Resampling.BILINEAR)).astype(int)
            assert np.abs(store.frames[row] - expected).max() <= 2  # colour conversion may round otherwise


def test_the_index_carries_split_and_visibility(painted: Path, tmp_path: Path) -> None:
    store = decoded(read_cameras(painted), tmp_path / "store")
    assert np.allclose(store.index["visibility"], store.index["identity"] / 10)
    assert set(zip(store.index["identity"], store.index["split"], strict=True)) == {
        (7, "train"),
        (2, "train"),
        (5, "train"),
        (3, "validation"),
        (9, "test"),
        (4, "test"),
    }


def test_tracklets_are_numbered_by_split_then_identity_then_camera(campus: Path) -> None:
    rows = assign_tracklets(read_cameras(campus).boxes, None)
    firsts = rows.drop_duplicates("tracklet")[["tracklet", "identity", "camera"]]
    assert firsts.to_numpy().tolist() == [
        [number, identity, camera]
        for number, (identity, camera) in enumerate(
            (identity, camera)
            for identity in (2, 5, 7, 3, 4, 9)
            for camera in (1, 2, 10)
            if (identity, camera) not in {(5, 2), (9, 10)}
        )
    ]
    assert rows.index.tolist() == list(range(len(rows)))
    assert (rows.groupby("tracklet")["frame"].diff().dropna() > 0).all()


def cut(campus: Path, camera: int, identity: int, frames: set[int]) -> None:
    """Take lines out of a camera's tracks."""
    path = campus / f"c{camera}.txt"
    kept = [words for words in map(str.strip, path.open()) if not manifest(words, identity, frames)]
    path.write_text("\n".join(kept) + "\n")


def manifest(line: str, identity: int, frames: set[int]) -> bool:
    frame, owner = line.split(",")[:2]
    return int(owner) == identity and int(frame) in frames


@pytest.mark.parametrize("gap", [1, 2, 3, 4, None])
def test_a_tracklet_ends_where_the_next_box_is_later_than_the_gap(campus: Path, gap: int | None) -> None:
    cut(campus, 1, 4, {2, 3, 4})
    cut(campus, 2, 7, {3})
    cut(campus, 10, 5, {2, 4, 5})
    rows = assign_tracklets(read_cameras(campus).boxes, gap)
    numbers, before = [], None
    for identity, camera, frame in rows[["identity", "camera", "frame"]].itertuples(index=False):
        goes_on = before is not None and before[:2] == (identity, camera)
        if goes_on and (gap is None or frame - before[2] <= gap):
            numbers.append(numbers[-1])
        else:
            numbers.append(numbers[-1] + 1 if numbers else 0)
        before = (identity, camera, frame)
    assert rows["tracklet"].tolist() == numbers
    pairs = rows.groupby(["identity", "camera"])["tracklet"].nunique()
    assert pairs.sum() - len(pairs) == {1: 4, 2: 2, 3: 1, 4: 0, None: 0}[gap]


def test_fragments_and_distractors_become_tracklets_of_the_store(
    painted: Path, edit: Edit, tmp_path: Path
) -> None:
    cut(painted, 1, 4, {2, 3})  # seen in the frames 1, 4, 5, ...
    for camera in (1, 2, 10):  # identity 2 comes last then, though its number is the smallest
        cut(painted, camera, 2, set(range(1, 9)) if camera != 2 else set())

    def change(manifest: dict[str, Any]) -> None:
        manifest["splits"]["train"].remove(2)
        manifest["splits"]["distractors"] = [2]
        manifest["gap"] = 2

    store = decoded(read_cameras(edit(change)), tmp_path / "store")
    table = store.tracklets[["identity", "camera", "split"]].to_numpy().tolist()
    assert table[-1] == [2, 2, "distractors"]
    fragments = store.tracklets[(store.tracklets["identity"] == 4) & (store.tracklets["camera"] == 1)]
    first, second = fragments["tracklet"].tolist()
    assert second == first + 1
    assert store.index[store.index["tracklet"] == first]["frame"].tolist() == [1]
    assert store.index[store.index["tracklet"] == second]["frame"].tolist()[0] == 4
    upper = store.frames[:, 3, 4].mean(axis=1)
    assert np.abs(upper - 25 * store.index["identity"]).max() <= 6


def test_two_runs_give_equal_bytes(painted: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        decode_videos(read_cameras(painted), 16, 8, tmp_path / name)
    for file in ("frames.npy", "index.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_order_of_lines_in_the_tracks_does_not_matter(painted: Path, tmp_path: Path) -> None:
    decode_videos(read_cameras(painted), 16, 8, tmp_path / "one")
    path = painted / "c2.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    decode_videos(read_cameras(painted), 16, 8, tmp_path / "two")
    for file in ("frames.npy", "index.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_box_outside_the_image_is_named_with_its_line(painted: Path, tmp_path: Path) -> None:
    path = painted / "c2.txt"
    lines = path.read_text().splitlines()
    words = lines[4].split(",")
    words[2] = "128"
    lines[4] = ",".join(words)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        decode_videos(read_cameras(painted), 16, 8, tmp_path / "store")
    assert str(error.value).startswith(
        f"{path}:5: the box left 128, top 10, width 16, height 64 must overlap"
    )
    assert not (tmp_path / "store").exists()


def test_a_manifest_with_a_wrong_frame_count_is_refused(painted: Path, edit: Edit, tmp_path: Path) -> None:
    edit(lambda manifest: manifest["cameras"]["c10"].update(frames=9))
    with pytest.raises(InputError, match=r"c10\.mp4: the video must hold 9 frames, got 8"):
        decode_videos(read_cameras(painted), 16, 8, tmp_path / "store")
    assert not list(tmp_path.glob("*store*"))


def test_a_video_that_cannot_be_read_is_named(campus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c1\.mp4: cannot be opened as a video"):
        decode_videos(read_cameras(campus), 16, 8, tmp_path / "store")


def test_the_rest_of_a_damaged_video_is_listed(painted: Path, tmp_path: Path) -> None:
    whole = decoded(read_cameras(painted), tmp_path / "whole")
    with (painted / "c2.mp4").open("r+b") as file:
        file.truncate((painted / "c2.mp4").stat().st_size // 2)
    skipped = decode_videos(read_cameras(painted), 16, 8, tmp_path / "store", "skip")
    boxes = len((painted / "c2.txt").read_text().splitlines())
    (entry,) = skipped.images
    assert (entry["path"], entry["boxes"]) == ("c2.mp4", boxes)
    assert entry["reason"].startswith("cannot be opened as a video")
    assert sum(row["missing"] for row in skipped.tracklets) == boxes
    assert {row["camera"] for row in skipped.tracklets} == {2}
    store = open_store(tmp_path / "store")
    kept = (whole.index["camera"] != 2).to_numpy()
    assert np.array_equal(store.frames, whole.frames[kept])
    columns = ["identity", "camera", "frame", "split"]
    assert store.index[columns].to_numpy().tolist() == whole.index.loc[kept, columns].to_numpy().tolist()


def test_a_box_outside_its_image_is_listed_with_its_line(painted: Path, tmp_path: Path) -> None:
    path = painted / "c2.txt"
    lines = path.read_text().splitlines()
    words = lines[4].split(",")
    path.write_text("\n".join([*lines[:4], ",".join([*words[:2], "500", *words[3:]]), *lines[5:]]))
    source = read_cameras(painted, on_error="skip")
    skipped = decode_videos(source, 16, 8, tmp_path / "store", "skip")
    (entry,) = skipped.images
    assert (entry["path"], entry["boxes"]) == ("c2.txt:5", 1)
    (row,) = skipped.tracklets
    assert (row["identity"], row["camera"], row["missing"]) == (int(words[1]), 2, 1)
    subset = open_store(tmp_path / "store").tracklets.query(f"identity == {words[1]} and camera == 2")
    assert subset["length"].tolist() == [row["images"] - 1]


def test_a_set_of_which_nothing_is_left_is_refused(campus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold at least one frame, got none"):
        decode_videos(read_cameras(campus), 16, 8, tmp_path / "store", "skip")
    assert not list(tmp_path.glob("*store*"))


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_absurd_number_of_frames_is_refused_at_once(
    painted: Path, edit: Edit, tmp_path: Path, on_error: Any
) -> None:
    edit(lambda manifest: manifest["cameras"]["c2"].update(frames=10**9))
    with pytest.raises(InputError, match=r"c2\.mp4: a camera must hold at most"):
        decode_videos(read_cameras(painted), 16, 8, tmp_path / "store", on_error)


def test_another_decoder_gives_the_same_store(painted: Path, tmp_path: Path) -> None:
    decode_videos(read_cameras(painted), 16, 8, tmp_path / "one")
    decode_videos(read_cameras(painted), 16, 8, tmp_path / "two", decoder="pyav")
    for file in ("frames.npy", "index.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_film_cut_short_is_told_before_a_video_is_decoded_or_its_rest_is_listed(
    painted: Path, write_video: Callable[..., Path], tmp_path: Path
) -> None:
    whole = decoded(read_cameras(painted), tmp_path / "whole")
    with av.open(str(painted / "c10.mp4")) as file:
        images = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    path = write_video(painted / "c10.mp4", images, {"movflags": "faststart"}, "keyint=1")
    with av.open(str(path)) as file:
        fifth = [packet.pos for packet in file.demux(video=0) if packet.size][5]
    path.write_bytes(path.read_bytes()[: fifth + 9])
    with pytest.raises(InputError, match=r"c10\.mp4: the film is cut short"):
        decode_videos(read_cameras(painted), 16, 8, tmp_path / "store")
    skipped = decode_videos(read_cameras(painted), 16, 8, tmp_path / "store", "skip")
    (entry,) = skipped.images
    assert entry["path"] == "c10.mp4"
    lost = (whole.index["camera"] == 10) & (whole.index["frame"] > 5)
    assert entry["boxes"] == lost.sum() > 0
    assert len(open_store(tmp_path / "store").index) == (~lost).sum()


def test_a_damaged_film_is_listed_also_if_it_lost_no_box(painted: Path, tmp_path: Path) -> None:
    source = read_cameras(painted)
    without = replace(source, boxes=source.boxes[source.boxes["camera"] != 2])
    (painted / "c2.mp4").write_bytes(b"no film")
    skipped = decode_videos(without, 16, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [("c2.mp4", 0)]
    assert not skipped.tracklets


def test_lines_that_gave_no_box_are_listed(painted: Path, tmp_path: Path) -> None:
    left_out = (LeftOut("c2.txt", "of another class", 3),)
    skipped = decode_videos(replace(read_cameras(painted), left_out=left_out), 16, 8, tmp_path / "store")
    assert skipped.images == [{"path": "c2.txt", "reason": "of another class", "boxes": 3}]


def test_boxes_beyond_the_end_of_a_film_are_listed(painted: Path, tmp_path: Path) -> None:
    source = read_cameras(painted)
    boxes = source.boxes.copy()
    row = boxes[boxes["camera"] == 2].index[-1]
    boxes.loc[row, "frame"] = 1000
    longer = replace(source, boxes=boxes)
    with pytest.raises(InputError, match=r"c2\.mp4: the film ends with frame 8"):
        decode_videos(longer, 16, 8, tmp_path / "store")
    skipped = decode_videos(longer, 16, 8, tmp_path / "store", "skip")
    assert [(entry["path"], entry["boxes"]) for entry in skipped.images] == [("c2.mp4", 1)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


LIMITED = """
import resource, sys
from pathlib import Path
from sttreid.data.decoding import decode_videos
from sttreid.data.readers.cameras import read_cameras

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    decode_videos(read_cameras(Path(sys.argv[1])), 128, 64, Path(sys.argv[2]))
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("most", [100, 50_000])
def test_a_full_disk_is_told_and_leaves_the_former_store(painted: Path, tmp_path: Path, most: int) -> None:
    folder = tmp_path / "stores" / "one"
    decoded(read_cameras(painted), folder)
    before = contents(folder.parent)
    command = [sys.executable, "-c", LIMITED, str(painted), str(folder), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith((f"{folder}: cannot be written", "decoded frames cannot be kept"))
    assert contents(folder.parent) == before
    assert before


def test_a_disk_that_fills_while_the_index_is_written_is_told(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "one"
    decoded(read_cameras(painted), folder)
    before = contents(tmp_path)
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(InputError, match=r"one: cannot be written \(No space left on device\)"):
        decode_videos(read_cameras(painted), 16, 8, folder)
    assert contents(tmp_path) == before


def test_two_decodes_of_one_store_do_not_disturb_each_other(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder, refused = read_cameras(painted), tmp_path / "stores" / "one", []
    original = decoding.read_frames

    def second(*arguments: Any) -> Any:
        with pytest.raises(InputError, match="another process is writing it") as error:
            decode_videos(source, 16, 8, folder)
        refused.append(str(error.value))
        return original(*arguments)

    monkeypatch.setattr(decoding, "read_frames", second)
    decoded(source, folder)
    assert len(refused) == len(source.cameras)
    assert set(refused) == {f"{folder}: must have one writer, but another process is writing it"}
    monkeypatch.setattr(decoding, "read_frames", original)
    decode_videos(source, 16, 8, tmp_path / "alone")
    assert contents(folder) == contents(tmp_path / "alone")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    decoded(source, folder)  # the lock ended
