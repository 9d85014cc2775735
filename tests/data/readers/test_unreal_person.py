from pathlib import Path, PurePosixPath

import pytest

from sttreid.data.readers.unreal_person import read_unreal_person
from sttreid.runtime.errors import InputError
from tests import sets


def refusal(folder: Path, gap: int = 10) -> str:
    with pytest.raises(InputError) as error:
        read_unreal_person(folder, gap)
    return str(error.value)


def test_tracklets_are_cut_at_gaps_and_sorted_as_numbers(tmp_path: Path) -> None:
    result = read_unreal_person(sets.unreal(tmp_path))
    assert [[path.as_posix() for path in result.image_paths(row)] for row in range(len(result.table))] == [
        ["unreal_v1.1/images/7_c001_9.jpg", "unreal_v1.1/images/7_c001_10.jpg"],
        ["unreal_v1.1/images/7_c001_78.jpg"],
        ["unreal_v1.1/images/7_c001_100.jpg"],
        ["unreal_v2.1/images/7_c001_5.jpg"],
        ["unreal_v3.1/images/333_c016_2.jpg", "unreal_v3.1/images/333_c016_3.jpg"],
        ["unreal_v1.2/images/7_c001_1.jpg", "unreal_v1.2/images/7_c001_11.jpg"],
    ]


@pytest.mark.parametrize(("gap", "count"), [(1, 7), (9, 7), (10, 6), (22, 5), (68, 4)])
def test_a_gap_is_the_longest_step_within_a_tracklet(tmp_path: Path, gap: int, count: int) -> None:
    assert len(read_unreal_person(sets.unreal(tmp_path), gap).table) == count


def test_identity_and_camera_are_pairs(tmp_path: Path) -> None:
    table = read_unreal_person(sets.unreal(tmp_path), max_frame_gap=1000).table
    assert table["identity"].tolist() == [1_000_007, 1_000_007, 1_000_333, 2_000_007]
    assert table["camera"].tolist() == [1_001, 2_001, 3_016, 1_001]
    assert table["label"].tolist() == [0, 0, 1, 2]
    assert (table["split"] == "train").all()


@pytest.mark.parametrize("name", ["unreal_v3.1", "a link", "."])
def test_one_release_alone_and_the_cameras_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    root = sets.unreal(tmp_path)
    (root / "a link").symlink_to(root / "unreal_v3.1", target_is_directory=True)
    monkeypatch.chdir(root / "unreal_v3.1" if name == "." else root)
    result = read_unreal_person(Path(name))
    assert result.table["identity"].tolist() == [1_000_333]
    assert result.image_paths(0)[0] == PurePosixPath("unreal_v3.1/images/333_c016_2.jpg")
    assert "cameras of scene 2: must be 16, got 0 (16 too few)" in result.mismatches


def test_the_video_layout_keeps_its_tracklets(tmp_path: Path) -> None:
    result = read_unreal_person(sets.unreal_video(tmp_path))
    assert result.table["folder"].tolist() == ["1", "2", "10"]
    assert result.table["identity"].tolist() == [4, 4, 12]
    assert result.table["camera"].tolist() == [2, 3, 2]
    assert sets.frames(result) == [9, 10, 100, 1, 5, 6]
    assert result.mismatches == ()


def test_the_video_layout_below_a_release(tmp_path: Path) -> None:
    sets.unreal_video(tmp_path).rename(tmp_path / "unreal_v2.3")
    table = read_unreal_person(tmp_path).table
    assert table["identity"].tolist() == [3_000_004, 3_000_004, 3_000_012]
    assert table["camera"].tolist() == [2_002, 2_003, 2_002]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("5_c2_F1_1_2_3_4.jpg", "must have the person 4, got 5"),
        ("4_c9_F1_1_2_3_4.jpg", "must have the camera 3, got 9"),
        ("4_c3_F1_2_3_4.jpg", "an image must be named like 333_c1_F78_10_20_50_120.jpg"),
    ],
)
def test_a_mixed_or_misnamed_tracklet_is_refused(tmp_path: Path, name: str, words: str) -> None:
    root = sets.unreal_video(tmp_path)
    sets.put(root / "2" / name)
    if "person" in words:  # the first image says whose tracklet it is
        (root / "2" / name).rename(root / "2" / name.replace("F1", "F2"))
    assert words in refusal(root)


def test_a_release_without_its_images_is_told(tmp_path: Path) -> None:
    root = sets.unreal(tmp_path)
    (root / "unreal_v2.1" / "images").rename(root / "unreal_v2.1" / "imgs")
    sentence = "releases without images/: must be 0, got 1 (1 too many; the first is unreal_v2.1)"
    assert sentence in read_unreal_person(root).mismatches


@pytest.mark.parametrize("path", ["unreal_v1.1.zip", "unreal_v1.1/images.zip"])
def test_a_release_that_is_still_packed_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(b"PK")
    words = refusal(tmp_path)
    assert words.startswith(f"{tmp_path}: looked for unreal_v<scene>.<version>/images or folders of")
    assert Path(path).name in words


def test_misnamed_images_and_gaps_below_one_are_refused(tmp_path: Path) -> None:
    root = sets.unreal(tmp_path)
    assert refusal(root, 0) == "max_frame_gap must be at least 1, got 0"
    folder = root / "unreal_v1.2" / "images"
    sets.put(folder / "7_c1_1_2.jpg")
    assert refusal(root) == f"{folder}: an image must be named like 333_c001_78.jpg, got '7_c1_1_2.jpg'"
