import os
from pathlib import Path, PurePosixPath

import pytest

from sttreid.data.readers import duke_video
from sttreid.data.readers.duke_video import read_duke_video
from sttreid.runtime.errors import InputError
from tests import sets

COUNTS = {  # of the tiny copy, by hand
    "training identities": 2,
    "training tracklets": 3,
    "queries": 2,
    "query identities": 2,
    "gallery tracklets": 5,
    "gallery tracklets of query identities": 4,
    "gallery tracklets of distractors": 1,
    "distractors": 1,
    "cameras": 8,
    "images of the shortest tracklet": 1,
    "images of the longest tracklet": 3,
}


def refusal(folder: Path, strict: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_duke_video(folder, strict)
    return str(error.value)


@pytest.mark.parametrize("older", [False, True])
def test_both_forms_of_names_and_folders_give_the_same_tracklets(tmp_path: Path, older: bool) -> None:
    result = read_duke_video(sets.duke(tmp_path, older))
    assert [result.image_paths(row) for row in range(len(result.table))] == [
        [
            PurePosixPath(f"{side}{'_split' if older else ''}/{identity:04d}/{tracklet:04d}")
            / sets.duke_name(identity, camera, mark, *image, older)
            for image in images
        ]
        for side, identity, tracklet, camera, mark, images in sets.DUKE
    ]
    assert result.table["camera"].tolist() == [row[3] for row in sets.DUKE]
    assert sets.frames(result) == [frame for row in sets.DUKE for _, frame in row[5]]
    assert result.table["row"].tolist() == [1, 2, 3, 1, 2, 1, 2, 3, 4, 5]


def test_queries_have_their_own_rows_and_unmatched_gallery_identities_are_distractors(tmp_path: Path) -> None:
    table = read_duke_video(sets.duke(tmp_path)).table
    assert table["split"].tolist() == ["train"] * 3 + ["test"] * 7
    assert table["label"].tolist() == [0, 0, 1] + [-1] * 7
    assert table["query"].tolist() == [False] * 3 + [True] * 2 + [False] * 5
    assert table["gallery"].tolist() == [False] * 5 + [True] * 5
    assert table["kind"].tolist() == ["person"] * 9 + ["distractor"]


def test_a_complete_copy_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duke_video, "OFFICIAL", COUNTS)
    assert read_duke_video(sets.duke(tmp_path), strict=True).mismatches == ()


def test_what_is_incomplete_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duke_video, "OFFICIAL", COUNTS)
    root = sets.duke(tmp_path)
    for path in (root / "gallery" / "0005" / "0001").iterdir():
        path.unlink()
    (root / "train" / "0001" / "0001" / sets.duke_name(1, 6, "X", 2, 30823)).unlink()
    result = read_duke_video(root)
    assert not result.table["missing"].any()
    assert result.remarks == (  # places 1 and 3; 1, 2 and 4
        "the numbering skips 2 images in 2 tracklets (the first is train/0001/0001)",
    )
    assert result.mismatches == (
        "gallery tracklets: must be 5, got 4 (1 too few)",
        "gallery tracklets of query identities: must be 4, got 3 (1 too few)",
        "folders of tracklets without an image: must be 0, got 1"
        " (1 too many; the first is gallery/0005/0001)",
        "queries that are not in the gallery: must be 0, got 1 (1 too many; the first is query/0005/0001)",
    )
    assert len(refusal(root, strict=True).splitlines()) == 4


def test_tracklets_and_images_are_sorted_as_numbers(tmp_path: Path) -> None:
    root = sets.duke(tmp_path)
    for tracklet in (10, 9):
        for index in (10_000, 9_999, 2):
            folder = root / "train" / "0030" / f"{tracklet}"
            sets.put(folder / f"0030_C8_F{index}_X{index}.jpg")
    result = read_duke_video(root)
    assert [PurePosixPath(name).name for name in result.table["folder"][2:5]] == ["0001", "9", "10"]
    assert sets.frames(result)[6:9] == [2, 9_999, 10_000]


def test_a_suffix_may_be_in_any_case(tmp_path: Path) -> None:
    root = sets.duke(tmp_path)
    path = root / "train" / "0001" / "0001" / sets.duke_name(1, 6, "X", 2, 30823)
    path.rename(path.with_suffix(".Jpg"))
    assert read_duke_video(root).table["length"].tolist()[0] == 3


def test_a_name_with_a_stray_blank_is_refused_and_not_ignored(tmp_path: Path) -> None:
    root = sets.duke(tmp_path)
    sets.put(root / "train" / "0030" / "0001" / "0030_C8_F0002_X0013\u00a0.jpg")
    assert "an image must be named like 0001_C6_F0099_X30823.jpg" in refusal(root)


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    root = sets.duke(tmp_path)
    (root / "train" / "0030" / "0001").rename(root / "train" / "0030" / os.fsdecode(b"\xff1"))
    assert "a folder's name must be text in UTF-8, got '\\udcff1'" in refusal(root)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("train/0030/0001/0001_C8_F0002_X0013.jpg", "must have the identity 30, got 1"),
        ("train/0030/0001/0030_C2_F0002_X0013.jpg", "must have the camera 8, got 2"),
        ("train/0030/0001/0030_C9_F0002_X0013.jpg", "an image must be named like 0001_C6_F0099_X30823.jpg"),
        ("train/0030/0001/0030_C8_F0002_X0013.png", "an image must be named like 0001_C6_F0099_X30823.jpg"),
        ("train/people/0001/0030_C8_F0002_X0013.jpg", "the folder 'people' must be a number"),
    ],
)
def test_misplaced_and_misnamed_images_are_refused(tmp_path: Path, path: str, words: str) -> None:
    root = sets.duke(tmp_path)
    sets.put(root / path)
    assert words in refusal(root)
    assert str(root / "train") in refusal(root)
