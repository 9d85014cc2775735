import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sttreid.config.datasets import Dataset, Validation
from sttreid.config.domain import Scale, load_domain
from sttreid.data.decoding import decode_videos
from sttreid.data.describe import describe, describe_published, histogram
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.readers.cameras import read_cameras
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings, find_reader
from sttreid.runtime.errors import InputError
from sttreid.simulate.dataset import render
from sttreid.tracklets.store import open_store
from tests import sets
from tests.tiny import ROOT


def read(name: str, folder: Path, **options: int) -> PublishedSet:
    dataset = Dataset(name, Path("sets/a.json"), options={**find_reader(name).usual, **options})
    return read_dataset(dataset, folder, ReadSettings(Validation(share=0.1, seed=0)))


def row(text: str, role: str) -> list[float]:
    """The numbers of a role in the count table."""
    return [
        float(word) for line in text.splitlines() if line.startswith(f"{role} ") for word in line.split()[1:]
    ]


def test_the_count_table_has_a_row_for_each_role(tmp_path: Path) -> None:
    text = describe_published(read("mars", sets.mars(tmp_path)))
    assert row(text, "train") == [3, 4, 5, 14, 0, 1, 3, 4]
    assert row(text, "query") == [2, 4, 4, 21, 0, 2, 5, 9]
    assert row(text, "gallery") == [3, 5, 6, 24, 0, 1, 2, 9]
    assert row(text, "distractor") == [1, 2, 2, 4, 0, 1, 2, 3]
    assert row(text, "junk") == [1, 2, 2, 3, 0, 1, 1.5, 2]
    assert "validation" not in text
    assert "queries that are also in the gallery: 4" in text


def test_every_check_is_reported(tmp_path: Path) -> None:
    result = read("ls_vid", sets.ls_vid(tmp_path))
    lines = describe_published(result).splitlines()
    for check in result.checks:
        assert f"{'ok ' if check.passed else 'OFF'}  {check}" in lines
    assert lines[-1] == f"{len(result.mismatches)} of {len(result.checks)} checks are off"


def test_gaps_in_the_frame_numbers_are_counted(tmp_path: Path) -> None:
    text = describe_published(read("duke_video", sets.duke(tmp_path)))
    assert "tracklets with gaps in their frame numbers: 1" in text  # 9, 21, 45


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_every_tracklet_is_in_the_bin_of_its_length(lengths: list[int]) -> None:
    bins = {}
    for line in histogram(pd.Series(lengths)).splitlines():
        label, count = line.replace("#", "").strip().rsplit(maxsplit=1)
        low, _, high = label.replace(",", "").partition(" to ")
        bins[int(low), int(high or low)] = int(count.replace(",", ""))
    assert sum(bins.values()) == len(lengths)
    for (low, high), count in bins.items():
        assert count == sum(low <= length <= high for length in lengths)


def test_the_command_describes_and_draws(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    text = describe("ilids_vid", sets.ilids(tmp_path), {"split": "3"}, sheet=sheet, tracklets=5)
    assert "iLIDS-VID, split 3" in text
    assert "12 tracklets" in text
    with Image.open(sheet) as image:
        assert image.format == "JPEG"


def test_strict_counts_and_another_layout_are_errors(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    with pytest.raises(InputError, match=r"training identities: must be 625, got 3 \(622 too few\)"):
        describe("mars", root, strict=True)
    with pytest.raises(InputError, match="it looks like mars"):
        describe("ls_vid", root)


def test_options_belong_to_their_readers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--option\.max_frame_gap: the reader mars takes no options"):
        describe("mars", tmp_path, {"max_frame_gap": "3"})
    with pytest.raises(InputError, match=r"--option\.test: the reader cameras takes tracks, got '0.5'"):
        describe("cameras", tmp_path, {"test": "0.5"})
    with pytest.raises(InputError, match=r"the name must be one of cameras, .* \(did you mean 'mars'\?\)"):
        describe("marz", tmp_path)
    assert len(read("unreal_person", sets.unreal(tmp_path), max_frame_gap=1000).table) == 4


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny set of camera videos."""
    scale = Scale(
        identities=6, distractors=1, cameras=2, min_frames=6, max_frames=8, width=640, height=360, fps=12,
        seed=1, train=0.4, validation=0.3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("videos") / "tiny"
    render("tiny", load_domain("campus", ROOT / "domains"), scale, folder, workers=1)
    return folder


def test_camera_videos_are_counted_as_their_tracks_say(rendered: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    printed = describe("cameras", rendered, sheet=sheet, tracklets=4)
    lines = [line.split(",") for path in rendered.glob("c*.txt") for line in path.read_text().splitlines()]
    assert f"{len(lines):,} boxes, {len({line[1] for line in lines})} identities" in printed
    for name in ("c1", "c2"):
        subset = [line.split(",") for line in (rendered / f"{name}.txt").read_text().splitlines()]
        message = next(line for line in printed.splitlines() if f"{name}.mp4" in line)
        assert message.endswith(f"{len(subset):,} boxes of {len({line[1] for line in subset})} identities")
    counts = [row(printed, split) for split in ("train", "validation", "test", "distractors")]
    assert sum(item[3] for item in counts) == len(lines)
    assert [item[0] for item in counts] == [2, 2, 2, 1]
    with Image.open(sheet) as image:
        assert image.size == (2 * (96 + 8 * 48), 2 * 96)


def test_the_sheet_shows_the_crops_that_decode_stores(rendered: Path, tmp_path: Path) -> None:
    describe("cameras", rendered, sheet=tmp_path / "sheet.png", tracklets=99)
    decode_videos(read_cameras(rendered), 96, 48, tmp_path / "store")
    store = open_store(tmp_path / "store")
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image)
    for index, (start, length) in enumerate(store.tracklets[["start", "length"]].to_numpy()):
        down, across = divmod(index, 2)
        x, y = across * (96 + 8 * 48) + 96, down * 96
        for number, frame in enumerate(np.unique(np.linspace(0, length - 1, 8).round().astype(int))):
            cell = sheet[y : y + 96, x + 48 * number : x + 48 * (number + 1)]
            assert np.array_equal(cell, store.frames[start + frame])


def test_footage_is_described_too_and_a_bad_video_is_said(rendered: Path, tmp_path: Path) -> None:
    for path in (*rendered.glob("c*.mp4"), *rendered.glob("c*.txt")):
        shutil.copy(path, tmp_path / path.name)
    assert "validation" in describe("footage", tmp_path, {"max_frame_gap": "3", "test": "0.4"})
    content = (tmp_path / "c1.mp4").read_bytes()
    half = len(content) // 2  # after the table of contents
    (tmp_path / "c1.mp4").write_bytes(content[:half] + bytes(len(content) - half))
    message = describe("footage", tmp_path, sheet=tmp_path / "sheet.jpg").splitlines()[-2:]
    assert "c1.mp4" in message[0]
    assert message[1] == f"contact sheet: {tmp_path / 'sheet.jpg'}"


def test_a_data_set_of_the_parameters_needs_no_folder(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(rendered, tmp_path / "data" / "campus")
    assert "camera 2: c2.mp4" in describe("campus")
    with pytest.raises(InputError, match=r"must be a data set, .*, got 'campu' \(did you mean 'campus'"):
        describe("campu")
    with pytest.raises(InputError, match=r"datasets\.campus has the options, got --option max_frame_gap"):
        describe("campus", options={"max_frame_gap": "3"})
