from pathlib import Path

import numpy as np
import pytest
import scipy.io

from sttreid.data.readers import ilids_vid
from sttreid.data.readers.ilids_vid import read_ilids_vid
from sttreid.runtime.errors import InputError
from tests import sets


def refusal(folder: Path, split: int = 1, strict: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_ilids_vid(folder, split, strict)
    return str(error.value)


def splits_path(root: Path) -> Path:
    return root / "i-LIDS-VID" / "train-test people splits" / "train_test_splits_ilidsvid.mat"


@pytest.mark.parametrize("split", range(1, 11))
def test_the_first_half_of_a_split_tests_and_the_second_trains(tmp_path: Path, split: int) -> None:
    table = read_ilids_vid(sets.ilids(tmp_path), split).table
    chosen = [sets.PERSONS[index - 1] for index in sets.ilids_splits()[split - 1]]
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    for subset, persons in ((train, chosen[3:]), (test, chosen[:3])):
        assert subset["identity"].tolist() == sorted(persons) * 2
        assert subset["camera"].tolist() == [1] * 3 + [2] * 3
    assert train["label"].tolist() == [0, 1, 2, 0, 1, 2]
    assert test["query"].tolist() == [True] * 3 + [False] * 3
    assert test["gallery"].tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("below", ["", "i-LIDS-VID"])
def test_the_splits_may_be_next_to_the_images_or_below(tmp_path: Path, inner: bool, below: str) -> None:
    root = sets.ilids(tmp_path, inner)
    result = read_ilids_vid(root / below)
    assert len(result.table) == 12
    assert all((result.root / path).is_file() for row in range(12) for path in result.image_paths(row))
    numbers = {person: list(range(9 + person % 3, 12)) for person in sets.PERSONS}
    for row in result.table.itertuples():
        assert result.frame_numbers(row.Index).tolist() == numbers[row.identity]


def test_a_complete_copy_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sets.ilids(tmp_path)
    assert "tracklets: must be 600, got 12 (588 too few)" in refusal(root, strict=True)
    counts = dict(zip(ilids_vid.OFFICIAL, [3, 3, 12, 3, 3], strict=True))
    monkeypatch.setattr(ilids_vid, "OFFICIAL", counts)
    assert read_ilids_vid(root, strict=True).mismatches == ()


@pytest.mark.parametrize("split", [0, 11, -1])
def test_there_are_ten_splits(tmp_path: Path, split: int) -> None:
    root = sets.ilids(tmp_path)
    assert refusal(root, split) == f"{splits_path(root)}: the split must be between 1 and 10, got {split}"


def test_splits_of_other_persons_are_refused(tmp_path: Path) -> None:
    """A person too few would shift all others to another split."""
    root = sets.ilids(tmp_path)
    for camera in (1, 2):
        (root / "i-LIDS-VID" / "sequences" / f"cam{camera}" / "person003").mkdir()
    assert "'ls_set' must have 7 columns, got the shape (10, 6)" in refusal(root)
    table = np.c_[sets.ilids_splits(), np.full(10, 6)]
    scipy.io.savemat(splits_path(root), {"ls_set": table})
    assert "every split must list each of 7 identities once" in refusal(root)
    splits_path(root).unlink()
    assert "the splits must be at train-test people splits/" in refusal(root)


def test_a_person_without_a_second_camera_is_refused(tmp_path: Path) -> None:
    root = sets.ilids(tmp_path)
    sequence = root / "i-LIDS-VID" / "sequences" / "cam2" / "person010"
    sequence.rename(tmp_path / "elsewhere")
    assert refusal(root) == f"{sequence}: the split names this folder, but it is missing"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cam2_person001_00011.png", "must have the camera 1, got 2"),
        ("cam1_person002_00011.png", "must have the identity 1, got 2"),
        ("cam1_person001.png", "an image must be named like cam1_person001_00317.png"),
    ],
)
def test_misplaced_and_misnamed_images_are_refused(tmp_path: Path, name: str, words: str) -> None:
    root = sets.ilids(tmp_path)
    sets.put(root / "i-LIDS-VID" / "sequences" / "cam1" / "person001" / name)
    assert words in refusal(root)


@pytest.mark.parametrize("name", ["person", "person2147483648", "person" + "9" * 30])
def test_a_folder_without_a_number_that_the_store_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    root = sets.ilids(tmp_path)
    for camera in ("cam1", "cam2"):
        folder = root / "i-LIDS-VID" / "sequences" / camera
        one = min(path for path in folder.iterdir())
        one.rename(folder / name)
    assert f"{name}: the folder's name must hold a number of at most 2,147,483,647" in refusal(root)
