import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.config.datasets import Dataset, Validation
from sttreid.data.folder_listing import check_relative, image_names, locate, natural_key, subfolders
from sttreid.data.folder_manifest import scan
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings, find_reader
from sttreid.runtime.errors import InputError
from tests import sets
from tests.sets import WRITERS


@pytest.mark.parametrize("reader", WRITERS)
def test_a_data_set_is_found_in_a_folder_or_a_subfolder_and_no_other_is(tmp_path: Path, reader: str) -> None:
    root = WRITERS[reader](tmp_path / "sets")
    landmarks = find_reader(reader).landmarks
    assert locate(root, reader, landmarks) == locate(root.parent, reader, landmarks) == root
    for other in WRITERS.keys() - {reader}:
        with pytest.raises(InputError) as error:
            locate(root, other, find_reader(other).landmarks)
        message = str(error.value)
        assert message.startswith(f"{root}: looked for ")
        assert all(pattern in message for layout in find_reader(other).landmarks for pattern in layout)
        assert all(path.name in message for path in root.iterdir())


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
            locate(tmp_path / folder, "mars", find_reader("mars").landmarks)


@pytest.mark.parametrize("reader", WRITERS)
def test_litter_is_no_part_of_a_data_set(tmp_path: Path, reader: str) -> None:
    root = WRITERS[reader](tmp_path / "sets")
    options = dict(find_reader(reader).usual)
    settings = ReadSettings(Validation(share=0.5, seed=0))

    def read() -> PublishedSet:
        found = read_dataset(Dataset(reader, Path("sets/none.json"), options=options), root, settings)
        assert isinstance(found, PublishedSet)
        return found

    before, manifest = read(), scan(root)
    paths = [before.image_paths(row) for row in range(len(before.table))]
    sets.litter(root)
    after = read()
    pd.testing.assert_frame_equal(before.table, after.table)
    assert paths == [after.image_paths(row) for row in range(len(after.table))]
    assert (before.checks, before.remarks) == (after.checks, after.remarks)
    assert scan(root) == manifest


@given(st.text(max_size=20) | st.text("./\\:aC", max_size=12))
def test_a_path_from_a_list_never_leaves_the_root(text: str) -> None:
    root = Path("/sets/root")
    try:
        result = check_relative("list:1", text)
    except InputError:
        return
    assert os.path.normpath(root / result).startswith("/sets/root/")
    assert not result.is_absolute()


def test_a_path_from_a_list_can_be_that_of_a_file(tmp_path: Path) -> None:
    for text in ("9" * 5000, "a/" * 2500, f"a/{'b' * 256}/c"):
        with pytest.raises(InputError, match=r"^list:1: a path must have at most"):
            check_relative("list:1", text)
    assert not (tmp_path / check_relative("list:1", f"a/{'b' * 255}/c")).is_dir()


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_names_sort_by_their_numbers_whatever_the_padding(numbers: list[int]) -> None:
    names = [f"c{number:0{position % 5 + 1}d}" for position, number in enumerate(numbers)]
    assert sorted(names, key=natural_key) == [f"c{n:0{numbers.index(n) % 5 + 1}d}" for n in sorted(numbers)]


def test_images_and_folders_are_told_from_everything_else(tmp_path: Path) -> None:
    names = ["10.jpg", "9.JPG", "8.Jpg", "naïve é 人.png", "no\u00a0break 人\u3000一.jpg"]
    for name in (*names, ".hidden.jpg", "notes.txt", "film.mp4"):
        (tmp_path / name).write_bytes(b"")
    for name in ("c10", "c9", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "10.jpg")
    (tmp_path / "link to c9").symlink_to(tmp_path / "c9", target_is_directory=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "a folder.jpg").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"")
    assert sorted(image_names(tmp_path)) == sorted([*names, "linked.jpg"])
    assert [path.name for path in subfolders(tmp_path)] == ["a folder.jpg", "c9", "link to c9", "c10"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: the folder cannot be listed"):
        subfolders(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("reader", "closed"),
    [*((reader, "") for reader in WRITERS), *(("footage", name) for name in ("", "lobby", "labels"))],
)
def test_a_closed_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, closed: str
) -> None:
    """The system's answer is imitated, as the superuser may open every folder."""
    (tmp_path / closed / "gt").mkdir(parents=True)
    if closed == "lobby":
        (tmp_path / "lobby" / "gt" / "gt.txt").write_text("1,1,1,1,9,9")
    (tmp_path / "hall.mp4").write_bytes(b"")

    def refusing(listing: Callable[..., object]) -> Callable[..., object]:
        def call(folder: str = ".") -> object:
            if Path(folder) == tmp_path / closed:
                raise PermissionError(13, "Permission denied")
            return listing(folder)

        return call

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    dataset = Dataset(reader, Path("sets/none.json"), options=dict(find_reader(reader).usual))
    with pytest.raises(InputError, match=r"the folder cannot be listed \(Permission denied\)"):
        read_dataset(dataset, tmp_path, ReadSettings(Validation(share=0.5, seed=0)))
