import shutil
from pathlib import Path, PurePosixPath

import pytest
import scipy.io

from sttreid.config.datasets import Dataset, Validation
from sttreid.data.published.published_set import COLUMNS
from sttreid.data.readers import mars
from sttreid.data.readers.mars import read_mars
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings
from sttreid.runtime.errors import InputError
from tests import sets

COUNTS = {  # of the tiny copy, by hand
    "training identities": 3,
    "training tracklets": 5,
    "training tracklets of camera 1": 2,
    "training tracklets of camera 2": 1,
    "training tracklets of camera 3": 1,
    "training tracklets of camera 4": 0,
    "training tracklets of camera 5": 0,
    "training tracklets of camera 6": 1,
    "training images": 14,
    "training images of the shortest tracklet": 1,
    "training images of the longest tracklet": 4,
    "training images of the median tracklet": 3,
    "training identities of a single camera": 1,
    "training identities with fewer than 4 tracklets": 3,
    "test tracklets": 10,
    "test images": 31,
    "test tracklets of junk": 2,
    "test tracklets of distractors": 2,
    "test tracklets of persons": 6,
    "test persons": 3,
    "test tracklets shorter than 4 images": 8,
    "test tracklets shorter than 8 images": 8,
    "queries": 4,
    "query identities": 2,
    "queries without a match": 0,
    "queries without a match in a gallery without queries": 3,
}


def refusal(folder: Path, strict: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_mars(folder, strict)
    return str(error.value)


def expected(side: str, plan: list) -> list[list[PurePosixPath]]:
    return [
        [
            PurePosixPath(f"bbox_{side}") / name[:4] / name
            for name in (sets.mars_name(i, c, t, frame) for frame in range(first, first + n))
        ]
        for i, c, t, first, n in plan
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_tracklet_has_its_official_row_and_its_images_in_numeric_order(
    tmp_path: Path, end: str
) -> None:
    result = read_mars(sets.mars(tmp_path, end))
    wanted = expected("train", sets.MARS_TRAIN) + expected("test", sets.MARS_TEST)
    assert [result.image_paths(row) for row in range(len(result.table))] == wanted
    assert all((result.root / path).is_file() for row in wanted for path in row)
    assert result.table["row"].tolist() == [1, 2, 3, 4, 5, *range(1, 11)]
    plan = sets.MARS_TRAIN + sets.MARS_TEST
    assert result.table["identity"].tolist() == [row[0] for row in plan]
    assert result.table["camera"].tolist() == [row[1] for row in plan]
    assert result.table["length"].tolist() == [row[4] for row in plan]
    assert sets.frames(result) == [frame for *_, first, n in plan for frame in range(first, first + n)]
    assert {name: str(kind) for name, kind in result.table.dtypes.items()} == COLUMNS


def test_roles_are_those_of_the_official_evaluation(tmp_path: Path) -> None:
    table = read_mars(sets.mars(tmp_path)).table
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    assert train["label"].tolist() == [0, 0, 1, 1, 2]
    assert not train["query"].any()
    assert not train["gallery"].any()
    assert test["gallery"].all(), "the queries are in the gallery too"
    assert test["row"][test["query"]].tolist() == sets.MARS_QUERIES
    assert test["kind"].tolist() == ["junk"] * 2 + ["distractor"] * 2 + ["person"] * 6
    assert (test["label"] == -1).all()


def test_a_complete_copy_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mars, "OFFICIAL", COUNTS)
    assert COUNTS.keys() == mars._counts(read_mars(sets.mars(tmp_path)).table).keys()
    assert read_mars(tmp_path, strict=True).mismatches == ()


def test_a_count_that_is_off_is_a_sentence_and_in_strict_mode_an_error(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    sentence = "training tracklets: must be 8,298, got 5 (8,293 too few)"
    assert sentence in read_mars(root).mismatches
    assert f"{root}: {sentence}" in refusal(root, strict=True).splitlines()


def test_missing_images_are_counted_and_never_shorten_a_tracklet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mars, "OFFICIAL", COUNTS)
    root = sets.mars(tmp_path)
    gone = root / "bbox_train" / "0007" / "0007C1T0001F003.jpg"
    gone.unlink()
    shutil.rmtree(root / "bbox_test" / "0006")
    result = read_mars(root)
    assert result.table["missing"].tolist() == [0, 0, 1, 0, 0] + [0] * 9 + [2]
    assert result.table["length"].sum() == 45
    assert result.mismatches == (
        "lines of train_name.txt without an image: must be 0, got 1 (1 too many;"
        " the first is 0007C1T0001F003.jpg)",
        "lines of test_name.txt without an image: must be 0, got 2 (2 too many;"
        " the first is 0006C2T0001F001.jpg)",
    )
    assert "1 too many" in refusal(root, strict=True)


def test_images_in_another_identity_s_folder_are_missing(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    name = "0003C1T0001F002.jpg"
    (root / "bbox_train" / "0003" / name).rename(root / "bbox_train" / "0007" / name)
    assert read_mars(root).table["missing"].tolist()[:3] == [1, 0, 0]


def test_links_spaces_and_other_alphabets_in_the_path(tmp_path: Path) -> None:
    real = sets.mars(tmp_path / "données réelles 人 1")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(real / "bbox_train" / "0012", elsewhere)
    (real / "bbox_train" / "0012").symlink_to(elsewhere, target_is_directory=True)
    image = real / "bbox_test" / "0002" / "0002C1T0001F001.jpg"
    image.rename(tmp_path / "image.jpg")
    image.symlink_to(tmp_path / "image.jpg")
    link = tmp_path / "a link"
    link.symlink_to(real, target_is_directory=True)
    result = read_mars(link)
    assert result.root == link
    assert not result.table["missing"].any()
    (tmp_path / "image.jpg").unlink()  # a link to nothing is no image
    assert read_mars(link).table["missing"].sum() == 1


def test_other_files_are_ignored(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "._0003C1T0001F001.jpg"):
        (root / "bbox_train" / "0003" / name).write_bytes(b"")
    (root / "bbox_train" / "notes.txt").write_text("mine")
    assert not read_mars(root).table["missing"].any()


@pytest.mark.parametrize(
    "line", ["../../../etc/passwd", "/etc/passwd", "0003C1T0001F001.png", "0003C7T0001F001.jpg", "", "a\0b"]
)
def test_a_line_that_is_no_image_of_the_set_is_refused(tmp_path: Path, line: str) -> None:
    root = sets.mars(tmp_path)
    path = root / "info" / "train_name.txt"
    lines = path.read_text().splitlines()
    lines[3] = line
    path.write_text("\n".join(lines))
    assert refusal(root) == f"{path}:4: an image must be named like 0001C1T0001F001.jpg, got {line!r}"


@pytest.mark.parametrize(
    ("side", "row", "values", "words"),
    [
        ("train", 4, [11, 15, 12, 3], "row 5: start and end must be lines of {names}, 1 to 14, got 11 to 15"),
        ("train", 0, [0, 3, 3, 1], "row 1: start and end must be lines"),
        ("train", 0, [3, 2, 3, 1], "row 1: start and end must be lines"),
        ("train", 0, [1, 3, 7, 1], "row 1: every image must be of identity 7, got 0003C1T0001F001.jpg"),
        ("test", 9, [30, 31, 6, 1], "row 10: every image must be of camera 1, got 0006C2T0001F001.jpg"),
    ],
)
def test_an_index_that_does_not_fit_the_list_is_refused(
    tmp_path: Path, side: str, row: int, values: list[int], words: str
) -> None:
    root = sets.mars(tmp_path)
    path = root / "info" / f"tracks_{side}_info.mat"
    table = scipy.io.loadmat(path)[f"track_{side}_info"]
    table[row] = values
    scipy.io.savemat(path, {f"track_{side}_info": table})
    names = root / "info" / f"{side}_name.txt"
    assert words.format(names=names) in refusal(root)


def test_tracklets_that_share_images_or_span_tracks_are_told(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    path = root / "info" / "tracks_test_info.mat"
    table = scipy.io.loadmat(path)["track_test_info"]
    table[6] = [18, 20, 4, 3]  # its own two images and the next row's only one
    scipy.io.savemat(path, {"track_test_info": table})
    result = read_mars(root).mismatches
    assert (
        "lines of test_name.txt in several tracklets: must be 0, got 1 (1 too many; the first is line 20)"
        in result
    )
    assert (
        "rows of tracks_test_info.mat with several tracks: must be 0, got 1 (1 too many; the first is row 7)"
        in result
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([0, 5], "a query must be a row from 1 to 10, got 0"),
        ([5, 11], "a query must be a row from 1 to 10, got 11"),
        ([5, 6, 5], "'query_IDX' must list a query once, got 5 twice"),
    ],
)
def test_queries_that_do_not_exist_are_refused(tmp_path: Path, rows: list[int], words: str) -> None:
    root = sets.mars(tmp_path)
    sets.write_queries(root, rows)
    assert refusal(root) == f"{root / 'info' / 'query_IDX.mat'}: {words}"


@pytest.mark.parametrize("name", ["train_name.txt", "tracks_test_info.mat", "query_IDX.mat"])
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    path = sets.mars(tmp_path) / "info" / name
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2] + b"\xff\xfe", b"\x80\x81\x82\n" * 30):
        path.write_bytes(damaged)
        assert refusal(tmp_path).startswith(f"{path}")
    path.unlink()
    assert refusal(tmp_path).startswith(f"{path}: the ")
    path.mkdir()
    assert refusal(tmp_path).startswith(f"{path}: the ")


def reorganised(tmp_path: Path, *, renamed: bool, numbered: bool, copied: bool) -> Path:
    """The tiny MARS as it circulates.

    Args:
        tmp_path: receives it.
        renamed: whether images have the new numbers too.
        numbered: whether identities have new numbers; else those of MARS.
        copied: whether the gallery holds the queries too.
    """
    root = tmp_path / "copy" / "MARS"
    persons = sorted({row[0] for row in sets.MARS_TEST if row[0] > 0})
    test = {-1: 999, 0: 1000} | {person: 1001 + place for place, person in enumerate(persons)}
    trained = sorted({row[0] for row in sets.MARS_TRAIN})
    train = {person: 1 + place for place, person in enumerate(trained)}
    for split, plan, new in (("train", sets.MARS_TRAIN, train), ("test", sets.MARS_TEST, test)):
        count: dict[tuple[str, int], int] = {}
        for row, (identity, camera, track, first, length) in enumerate(plan, 1):
            sides = ["train"] if split == "train" else ["query" if row in sets.MARS_QUERIES else "gallery"]
            sides += ["gallery"] if copied and sides == ["query"] else []
            number = new[identity] if numbered else identity
            top = "00-1" if number < 0 else f"{number:04d}"
            for side in sides:
                count[side, identity] = count.get((side, identity), 0) + 1
                folder = root / f"{side}_split" / top / f"{count[side, identity]:04d}"
                for frame in range(first, first + length):
                    name = sets.mars_name(new[identity] if renamed else identity, camera, track, frame)
                    sets.put(folder / name)
    return root


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(("renamed", "numbered"), [(True, True), (False, True), (False, False)])
def test_the_reorganised_copy_has_the_counts_of_the_original(
    tmp_path: Path, renamed: bool, numbered: bool, copied: bool
) -> None:
    root = reorganised(tmp_path, renamed=renamed, numbered=numbered, copied=copied)
    for folder in (root, root.parent):
        published = read_mars(folder)
        assert {check.what: check.actual for check in published.checks if check.what in COUNTS} == COUNTS
        assert published.root == root
    original = read_mars(sets.mars(tmp_path))
    for column in ("kind", "split", "camera", "length", "query", "gallery"):
        assert sorted(published.table[column]) == sorted(original.table[column]), column
    for row, frames in enumerate(published.table["length"]):
        assert all((root / path).is_file() for path in published.image_paths(row))
        assert len(published.frame_numbers(row)) == frames


def test_the_reorganised_copy_is_no_duke_video(tmp_path: Path) -> None:
    root = reorganised(tmp_path, renamed=False, numbered=True, copied=False)
    settings = ReadSettings(Validation(share=0.1, seed=0))
    with pytest.raises(InputError, match="reader mars"):
        read_dataset(Dataset("duke_video", Path("sets/a.json")), root, settings)
