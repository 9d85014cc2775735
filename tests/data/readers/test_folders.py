import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.readers import folders
from sttreid.data.readers.folders import (
    LANDMARKS,
    inside,
    locate,
    natural,
    picture_names,
    read_lines,
    subfolders,
)
from sttreid.runtime.errors import InputError
from tests import sets

WRITERS: dict[str, Callable[[Path], Path]] = {
    "mars": sets.mars,
    "duke_video": sets.duke,
    "ls_vid": sets.ls_vid,
    "ilids_vid": sets.ilids,
    "prid2011": sets.prid,
    "unreal_person": sets.unreal,
}


@pytest.mark.parametrize("reader", WRITERS)
def test_a_data_set_is_found_here_or_one_folder_further_down_and_no_other_is(
    tmp_path: Path, reader: str
) -> None:
    root = WRITERS[reader](tmp_path / "sets")
    assert locate(root, reader) == locate(root.parent, reader) == root
    for other in LANDMARKS.keys() - {reader}:
        with pytest.raises(InputError) as error:
            locate(root, other)
        looked_for = " or ".join(", ".join(layout) for layout in LANDMARKS[other])
        names = ", ".join(sorted(path.name for path in root.iterdir()))
        assert str(error.value) == (
            f"{root}: looked for {looked_for} ({other}), here and one folder further down, found {names};"
            f" it looks like {reader}"
        )


def test_wrong_places_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for i in range(12):
        (tmp_path / "many" / f"{i:02d}").mkdir(parents=True)
    sets.mars(tmp_path / "two" / "a").parent.rename(tmp_path / "two" / "b")
    (tmp_path / "two" / "b" / "MARS").rename(tmp_path / "two" / "MARS")
    sets.mars(tmp_path / "two" / "b").rename(tmp_path / "two" / "copy")
    for folder, words in {
        "none": "the folder of the data set does not exist",
        "file": "the folder of the data set is a file",
        "many": "found 00, 01, 02, 03, 04, 05, 06, 07 and 4 more",
        "many/03": "found nothing",
        "two": "must hold one copy of mars, got MARS, copy",
    }.items():
        with pytest.raises(InputError, match=words):
            locate(tmp_path / folder, "mars")


@given(st.text(max_size=20) | st.text("./\\:aC", max_size=12))
def test_a_path_from_a_list_never_leaves_the_root(text: str) -> None:
    root = Path("/sets/root")
    try:
        found = inside("list:1", text)
    except InputError:
        return
    assert os.path.normpath(root / found).startswith("/sets/root/")
    assert not found.is_absolute()


@pytest.mark.parametrize("text", [1, 4, 1000])
def test_lists_have_either_line_end_and_may_start_with_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: int
) -> None:
    monkeypatch.setattr(folders, "_TEXT", text)
    path = tmp_path / "list.txt"
    for content in (b"a b\r\nc\r\n\r\n", b"\xef\xbb\xbfa b\nc", b"a b \nc\n"):
        path.write_bytes(content)
        assert read_lines(path).to_pylist() == ["a b", "c"]
    path.write_bytes(b"a\n\nc")
    assert read_lines(path).to_pylist() == ["a", "", "c"], (
        "an empty line counts, or all numbers after it would be wrong"
    )


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_names_sort_by_their_numbers_whatever_the_padding(numbers: list[int]) -> None:
    names = [f"c{number:0{place % 5 + 1}d}" for place, number in enumerate(numbers)]
    assert sorted(names, key=natural) == [f"c{n:0{numbers.index(n) % 5 + 1}d}" for n in sorted(numbers)]


def test_pictures_and_folders_are_told_from_everything_else(tmp_path: Path) -> None:
    names = ["10.jpg", "9.JPG", "8.Jpg", "naïve é 人.png", "no\u00a0break 人\u3000一.jpg"]
    for name in (*names, ".hidden.jpg", "notes.txt", "film.mp4"):
        (tmp_path / name).write_bytes(b"")
    for name in ("c10", "c9", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "10.jpg")
    (tmp_path / "link to c9").symlink_to(tmp_path / "c9", target_is_directory=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"")
    assert sorted(picture_names(tmp_path)) == sorted([*names, "linked.jpg"])
    assert [path.name for path in subfolders(tmp_path)] == ["c9", "link to c9", "c10"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: the folder cannot be listed"):
        subfolders(tmp_path / "nowhere")
