import hashlib
import json
import multiprocessing
import time
from collections import defaultdict
from dataclasses import replace
from itertools import count
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from tqdm import tqdm

from sttreid.config.domain import Domain, Scale
from sttreid.data.readers.cameras import read_cameras
from sttreid.data.videos import frames
from sttreid.runtime.errors import InputError
from sttreid.simulate import dataset
from sttreid.simulate.dataset import render
from sttreid.simulate.render import render_camera

FILES = ["c1.mp4", "c1.txt", "c2.mp4", "c2.txt", "manifest.json", "tracks.csv", "truth.parquet"]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_number_of_workers_changes_no_byte(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path
) -> None:
    render("tiny", domain, scale, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(rendered)


def test_a_folder_holds_videos_tracks_tables_and_a_manifest(rendered: Path) -> None:
    assert list(contents(rendered)) == FILES
    assert [path.name for path in rendered.parent.iterdir()] == [rendered.name]


def test_the_manifest_describes_the_files(rendered: Path, scale: Scale) -> None:
    manifest = json.loads((rendered / "manifest.json").read_text())
    assert manifest["format"] == "sttreid-cameras/1"
    assert manifest["name"] == "tiny"
    assert manifest["scale"]["identities"] == scale.identities
    assert manifest["splits"] == {"train": [1, 2], "validation": [3, 4], "test": [5, 6], "distractors": []}
    assert manifest["domain"]["crowd"]["jitter"] == 0.05
    assert manifest["gap"] == 3
    assert "version" not in manifest
    checksums = contents(rendered)
    for camera, entry in manifest["cameras"].items():
        assert entry["sha256_video"] == checksums[f"{camera}.mp4"]
        assert entry["sha256_tracks"] == checksums[f"{camera}.txt"]
        with av.open(str(rendered / f"{camera}.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == entry["frames"]
    assert manifest["tables"] == {name: checksums[name] for name in ("tracks.csv", "truth.parquet")}


def test_decord_reads_back_every_frame_that_was_encoded(rendered: Path) -> None:
    manifest = json.loads((rendered / "manifest.json").read_text())
    for camera, entry in manifest["cameras"].items():
        with av.open(str(rendered / f"{camera}.mp4")) as container:
            encoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        read = list(frames(rendered / f"{camera}.mp4", entry["frames"]))
        assert len(read) == len(encoded) == entry["frames"]
        for mine, theirs in zip(encoded, read, strict=True):
            assert abs(mine.astype(int) - theirs.astype(int)).mean() < 3  # two conversions to RGB


def test_every_identity_has_boxes_in_two_cameras_and_all_lie_in_the_image(
    rendered: Path, scale: Scale
) -> None:
    seen: dict[int, set[str]] = defaultdict(set)
    for path in rendered.glob("c*.txt"):
        lines = [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]
        assert [(line[0], line[1]) for line in lines] == sorted({(line[0], line[1]) for line in lines})
        for frame, identity, left, top, width, height, _, _, visibility in lines:
            seen[int(identity)].add(path.stem)
            assert frame >= 1
            assert width >= 4
            assert height >= 4
            assert left >= 0
            assert top >= 0
            assert left + width <= scale.width + 0.11
            assert top + height <= scale.height + 0.11
            assert visibility >= 0.25
    assert set(seen) == set(range(1, scale.identities + 1))
    assert all(len(cameras) == 2 for cameras in seen.values())


def test_a_failure_leaves_the_old_folder(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept.txt").write_text("kept")

    def fail(*_: object) -> None:
        raise InputError("the reason")

    monkeypatch.setattr(dataset, "render_camera", fail)
    with pytest.raises(InputError, match="the reason"):
        render("tiny", domain, scale, tmp_path / "old", workers=1)
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["kept.txt"]


def test_an_interrupted_rendering_resumes_with_the_missing_cameras(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count()

    def interrupted(*given: object) -> None:
        if next(calls) == 1:
            for name in (f"c{given[3]}.mp4", f".c{given[3]}.7.part", ".c1.txt.99.tmp"):
                (tmp_path / ".tiny.partial" / name).write_bytes(b"half")
            raise KeyboardInterrupt
        render_camera(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset, "render_camera", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render("tiny", domain, scale, tmp_path / "tiny", workers=1)
    assert not (tmp_path / "tiny").exists()
    render("tiny", domain, scale, tmp_path / "tiny", workers=1)
    assert next(calls) == 3  # the first camera was not rendered again
    assert contents(tmp_path / "tiny") == contents(rendered)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_cameras_of_another_recipe_are_not_reused(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object) -> None:
        render_camera(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "render_camera", stop)
    with pytest.raises(KeyboardInterrupt):
        render("tiny", domain, replace(scale, seed=4), tmp_path / "tiny", workers=1)
    monkeypatch.undo()
    render("tiny", domain, scale, tmp_path / "tiny", workers=1)
    assert contents(tmp_path / "tiny") == contents(rendered)


def running(number: int) -> bool:
    """Whether a process still runs; a finished process without a waiting parent has the state Z."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_process_leaves_no_incomplete_video_under_a_final_name(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path, workers: int
) -> None:
    """The process is killed during a video; its workers end as well and leave no named file."""
    partial = tmp_path / ".tiny.partial"
    process = multiprocessing.get_context("spawn").Process(
        target=render, args=("tiny", domain, scale, tmp_path / "tiny", workers)
    )
    process.start()
    while not (parts := list(partial.glob(".c*.part"))):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not (tmp_path / "tiny").exists()
    writers = [int(path.name.split(".")[2]) for path in parts]  # .c1.PID.part
    deadline = time.monotonic() + 30
    while any(running(number) for number in writers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for path in partial.glob("c*.mp4"):
        assert path.read_bytes() == (rendered / path.name).read_bytes()
    render("tiny", domain, scale, tmp_path / "tiny", workers=1)
    assert contents(tmp_path / "tiny") == contents(rendered)


def test_the_error_of_a_worker_ends_the_rendering(domain: Domain, scale: Scale, tmp_path: Path) -> None:
    """Also where other cameras are still waiting for a worker."""
    many, bar = replace(scale, cameras=6), tqdm(disable=True)
    jobs = [("tiny", domain, many, camera, [1, 2], tmp_path / "none") for camera in range(1, 7)]
    with pytest.raises(FileNotFoundError):
        dataset._in_processes(jobs, 2, bar)


def test_a_finished_rendering_replaces_the_folder(domain: Domain, scale: Scale, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gone.txt").write_text("")
    render("new", domain, replace(scale, width=64, height=36), tmp_path / "old", workers=1)
    assert list(contents(tmp_path / "old")) == FILES


def test_distractors_are_in_a_single_camera(domain: Domain, scale: Scale, tmp_path: Path) -> None:
    render("tiny", domain, replace(scale, distractors=3, width=128, height=72), tmp_path / "more", workers=1)
    seen: dict[int, set[str]] = defaultdict(set)
    for path in (tmp_path / "more").glob("c*.txt"):
        for line in path.read_text().splitlines():
            seen[int(line.split(",")[1])].add(path.stem)
    assert {number: len(cameras) for number, cameras in seen.items() if number > 6} == {
        10_001: 1,
        10_002: 1,
        10_003: 1,
    }


def test_a_later_start_has_the_same_scenes_and_none_of_the_people(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path
) -> None:
    render("tiny", domain, replace(scale, first_identity=7), tmp_path / "later", workers=1)
    people = [
        set(pd.read_csv(folder / "tracks.csv")["identity"]) for folder in (rendered, tmp_path / "later")
    ]
    assert people == [set(range(1, 7)), set(range(7, 13))]
    manifest = json.loads((tmp_path / "later" / "manifest.json").read_text())
    assert manifest["scale"]["first_identity"] == 7
    assert manifest["splits"] == {"train": [7, 8], "validation": [9, 10], "test": [11, 12], "distractors": []}
    for name in ("c1.mp4", "c2.mp4"):  # most pixels show no pedestrian
        scenes = [
            np.median(np.stack(list(frames(folder / name, count))), 0)
            for folder in (rendered, tmp_path / "later")
            for count in [json.loads((folder / "manifest.json").read_text())["cameras"][name[:2]]["frames"]]
        ]
        assert np.abs(scenes[0] - scenes[1]).mean() < 6
    read = read_cameras(tmp_path / "later")
    assert {split: set(rows["identity"]) for split, rows in read.boxes.groupby("split")} == {
        "train": {7, 8}, "validation": {9, 10}, "test": {11, 12}
    }  # fmt: skip


def test_another_name_with_the_same_people_gives_the_same_videos(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path
) -> None:
    render("pier", replace(domain, same_people_as="tiny"), scale, tmp_path / "pier", workers=1)
    mine, theirs = contents(tmp_path / "pier"), contents(rendered)
    assert [name for name in FILES if mine[name] != theirs[name]] == ["manifest.json"]
    render("pier", domain, scale, tmp_path / "other", workers=1)
    assert contents(tmp_path / "other")["c1.mp4"] != theirs["c1.mp4"]
