import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sttreid.data.readers import prid2011
from sttreid.data.readers.prid2011 import read_prid2011
from sttreid.runtime.errors import InputError
from tests import sets


def refusal(folder: Path, split: int = 1, strict: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_prid2011(folder, split, strict)
    return str(error.value)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("split", [1, 2, 10])
def test_a_split_names_its_halves_with_and_without_the_inner_folder(
    tmp_path: Path, inner: bool, split: int
) -> None:
    result = read_prid2011(sets.prid(tmp_path, inner), split)
    halves = sets.prid_splits()[split - 1]
    for split_name, half in (("train", "train"), ("test", "test")):
        subset = result.table[result.table["split"] == split_name]
        assert subset["identity"].tolist() == sorted(int(person[-4:]) for person in halves[half]) * 2
        assert subset["camera"].tolist() == [1] * 3 + [2] * 3
        assert subset["query"].tolist() == [half == "test"] * 3 + [False] * 3
        assert subset["gallery"].tolist() == [False] * 3 + [half == "test"] * 3
    assert all((result.root / path).is_file() for row in range(12) for path in result.image_paths(row))
    assert result.table["length"].tolist() == [2 + identity % 2 for identity in result.table["identity"]]


def test_a_split_list_may_be_next_to_the_inner_folder_or_in_info(tmp_path: Path) -> None:
    root = sets.prid(tmp_path)
    assert len(read_prid2011(root / "prid_2011").table) == 12
    (root / "info").mkdir()
    (root / "splits_prid2011.json").rename(root / "info" / "splits_prid2011.json")
    assert len(read_prid2011(root).table) == 12


def test_a_complete_copy_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sets.prid(tmp_path)
    counts = dict(zip(prid2011.OFFICIAL, [3, 3, 12, 3, 3], strict=True))
    monkeypatch.setattr(prid2011, "OFFICIAL", counts)
    assert read_prid2011(root).mismatches == (
        "identities of camera a: must be 385, got 8 (377 too few)",
        "identities of camera b: must be 749, got 8 (741 too few)",
        "identities in all splits: must be 178, got 6 (172 too few)",
    )
    assert "178" in refusal(root, strict=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "must be a list of splits"),
        ([{"train": ["person_0001"]}], "split 1: 'test' must be a list of folder names"),
        ([{"train": [], "test": ["person_0001"]}], "split 1: 'train' must be a list of folder names"),
        ([7], "split 1: 'train' must be a list of folder names"),
        ([{"train": ["../../person_0001"], "test": ["person_0002"]}], "got '../../person_0001'"),
        ([{"train": ["/etc"], "test": ["person_0002"]}], "got '/etc'"),
        ([{"train": [1], "test": ["person_0002"]}], "got 1"),
        (
            [{"train": ["person_0001"], "test": ["person_0001"]}],
            "an identity must be listed once, got person_0001 twice",
        ),
        ([{"train": ["person_0001"], "test": ["person_0777"]}], "person_0777: the split names this folder"),
    ],
)
def test_splits_that_break_a_rule_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    root = sets.prid(tmp_path)
    (root / "splits_prid2011.json").write_text(json.dumps(content))
    assert words in refusal(root)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = sets.prid(tmp_path)
    assert "the split must be between 1 and 10, got 11" in refusal(root, 11)
    (root / "splits_prid2011.json").write_text("{")
    assert "must be JSON" in refusal(root)
    (root / "splits_prid2011.json").unlink()
    assert "the splits must be at splits_prid2011.json or" in refusal(root)


@pytest.mark.parametrize("name", ["01.png", "0001.PNG"])
def test_two_images_of_one_frame_are_refused(tmp_path: Path, name: str) -> None:
    root = sets.prid(tmp_path)
    folder = root / "prid_2011" / "multi_shot" / "cam_a" / "person_0001"
    shutil.copy(folder / "0001.png", folder / name)
    words = refusal(root)
    assert words.startswith(f"{folder}/")
    assert "no two images of a tracklet must have the same frame, got that of 0" in words


def test_an_empty_sequence_is_told(tmp_path: Path) -> None:
    root = sets.prid(tmp_path)
    folder = root / "prid_2011" / "multi_shot" / "cam_b" / "person_0002"
    shutil.rmtree(folder)
    folder.mkdir()
    result = read_prid2011(root)
    assert len(result.table) == 11
    assert any("the first is prid_2011/multi_shot/cam_b/person_0002" in line for line in result.mismatches)
