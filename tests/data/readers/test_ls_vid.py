from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.readers import ls_vid
from sttreid.data.readers.ls_vid import read_ls_vid
from sttreid.runtime.errors import InputError
from tests import sets

COUNTS = {  # of the tiny copy, by hand
    "training identities": 2,
    "training tracklets": 3,
    "validation identities": 2,
    "validation tracklets": 4,
    "validation queries": 2,
    "test identities": 3,
    "test tracklets of identity 0 or more": 6,
    "highest identity of the test": 2,
    "test images": 14,
    "test images of the shortest tracklet": 1,
    "test images of the longest tracklet": 4,
    "test cameras": 4,
    "queries": 3,
    "queries without a match": 1,
    "queries without a match in rows 3226, 3274, 5606 and 10681": 0,
}


def refusal(folder: Path, strict: bool = False) -> str:
    with pytest.raises(InputError) as error:
        read_ls_vid(folder, strict)
    return str(error.value)


def expected(digits: int) -> list[list[PurePosixPath]]:
    return [
        [PurePosixPath(f"tracklet_{side}/{identity:04d}/{stem}_{frame:0{digits}d}.jpg") for frame in frames]
        for side, plan in (("train", sets.LS_TRAIN), ("val", sets.LS_VAL), ("test", sets.LS_TEST))
        for identity, _, frames, stem in plan
    ]


@pytest.mark.parametrize("layout", ["test/data", "info", "npy"])
@pytest.mark.parametrize("digits", [1, 6])
def test_all_layouts_give_the_lists_tracklets(tmp_path: Path, layout: str, digits: int) -> None:
    """With frames padded and not, and one tracklet whose names begin as another's."""
    result = read_ls_vid(sets.ls_vid(tmp_path, layout, digits=digits))
    assert [result.image_paths(row) for row in range(len(result.table))] == expected(digits)
    plan = sets.LS_TRAIN + sets.LS_VAL + sets.LS_TEST
    assert result.table["identity"].tolist() == [row[0] for row in plan]
    assert result.table["camera"].tolist() == [row[1] for row in plan]
    assert sets.frames(result) == [frame for row in plan for frame in row[2]]
    assert result.table["split"].tolist() == ["train"] * 3 + ["validation"] * 4 + ["test"] * 6
    assert result.table["label"].tolist() == [1, 1, 0] + [-1] * 10
    assert (result.table["kind"] == "person").all(), "identity 0 of the test is a real person"


@pytest.mark.parametrize("layout", ["test/data", "info", "npy"])
def test_queries_are_also_in_the_gallery(tmp_path: Path, layout: str) -> None:
    table = read_ls_vid(sets.ls_vid(tmp_path, layout)).table
    for split, side in (("validation", "val"), ("test", "test")):
        subset = table[table["split"] == split]
        indexed = layout != "npy" or split == "test"
        assert subset["row"][subset["query"]].tolist() == (sets.LS_QUERIES[side] if indexed else [])
        assert subset["gallery"].all()
    assert not table["gallery"][table["split"] == "train"].any()


def test_a_complete_copy_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ls_vid, "OFFICIAL", COUNTS)
    result = read_ls_vid(sets.ls_vid(tmp_path), strict=True)
    assert result.mismatches == ()
    assert COUNTS.keys() == ls_vid._counts(result.table).keys()


def test_a_copy_without_the_validation_split_is_read(tmp_path: Path) -> None:
    result = read_ls_vid(sets.ls_vid(tmp_path, validation=False))
    assert set(result.table["split"]) == {"train", "test"}
    assert "validation tracklets: must be 779, got 0 (779 too few)" in result.mismatches


def test_missing_and_surplus_images_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ls_vid, "OFFICIAL", {})
    root = sets.ls_vid(tmp_path)
    for path in (root / "tracklet_test" / "0000").glob("0000_0002*_10?.jpg"):
        path.unlink()
    (root / "tracklet_test" / "0002" / "0002_0001_15_0001_7.jpg").unlink()
    sets.put(root / "tracklet_test" / "0001" / "0001_0003_1_0001_3.jpg")
    result = read_ls_vid(root)
    test = result.table[result.table["split"] == "test"]
    assert test["missing"].tolist() == [0, 2, 0, 1, 0, 0]
    assert test["length"].tolist() == [3, 2, 3, 0, 2, 2], "a row stays, so that the queries' rows are right"
    assert test["camera"].tolist()[3] == 15
    assert result.image_paths(len(result.table) - 3) == []
    where = root / "list_sequence" / "list_seq_test.txt"
    assert result.mismatches == (
        f"lines of list_seq_test.txt without an image: must be 0, got 1 (1 too many; the first is {where}:4)",
        "test images that info_test.mat counts and that do not exist: must be 0, got 3"
        f" (3 too many; the first line is {where}:2)",
        "test images that info_test.mat does not count: must be 0, got 1"
        f" (1 too many; the first line is {where}:2)",
    )
    assert "got 3" in refusal(root, strict=True)


def test_the_index_decides_identity_and_camera_and_is_compared_with_the_names(
    tmp_path: Path,
) -> None:
    root = sets.ls_vid(tmp_path)
    table = sets.ls_table(sets.LS_TEST)
    table[1, 3] = 9
    table[4, 2] = 8
    sets.write_index(root / "test" / "data", "test", table, [1])
    result = read_ls_vid(root)
    assert result.table["camera"].tolist()[-5] == 9
    assert result.table["identity"].tolist()[-2] == 8
    where = root / "list_sequence" / "list_seq_test.txt"
    for words, line in (("camera", 2), ("identity", 5)):
        message = f"test tracklets of another {words} than in info_test.mat: must be 0, got 1"
        assert f"{message} (1 too many; the first is {where}:{line})" in result.mismatches


@pytest.mark.parametrize(
    "line",
    [
        "../elsewhere/0005_1_3 5",
        "/etc/0005_1_3 5",
        "a/../../b 5",
        "C:\\a 5",
        "..\\b 5",
        "\\\\host\\share\\x 5",
    ],
)
def test_a_list_cannot_leave_the_data_set(tmp_path: Path, line: str) -> None:
    root = sets.ls_vid(tmp_path)
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(path.read_text() + line + "\r\n")
    text = line[:-2]
    assert refusal(root) == f"{path}:4: a path must stay inside the data set, got {text!r}"


def test_a_folder_in_a_list_has_a_possible_name(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(path.read_text() + f"tracklet_train/{'9' * 5000}/0005_0001_3_0001 5\n")
    assert refusal(root).startswith(f"{path}:4: a path must have at most")


@pytest.mark.parametrize("line", ["tracklet_train/0005/0005_0001_3_0001", "a/b five", "7", "a/b 5000000000"])
def test_a_line_without_path_and_identity_is_refused(tmp_path: Path, line: str) -> None:
    root = sets.ls_vid(tmp_path)
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(line + "\n" + path.read_text())
    rule = "a line must be a path and an identity of at most 9 digits"
    assert refusal(root) == f"{path}:1: {rule}, got {line!r}"


def test_a_tracklet_is_listed_once(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[1])
    assert refusal(root) == f"{path}:4: a tracklet must be listed once, got it twice"


def test_an_index_with_other_rows_than_the_list_is_refused(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    sets.write_index(root / "test" / "data", "test", sets.ls_table(sets.LS_TEST)[:5], [1])
    assert "must have a row for each of 6 lines" in refusal(root)


def test_a_line_that_ends_in_a_slash_means_all_images_of_its_folder(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(path.read_text().replace("0002/0002_0001_1_0007", "0002/"))
    result = read_ls_vid(root)
    assert [result.image_paths(row) for row in range(3)] == expected(1)[:3]


def test_images_of_two_cameras_are_told_and_misnamed_ones_refused(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    folder = root / "tracklet_train" / "0002"
    path = root / "list_sequence" / "list_seq_train.txt"
    path.write_text(path.read_text().replace("0002_0001_1_0007", "0002_0001_"))
    sets.put(folder / "0002_0001_11_0007_9.jpg")
    words = (
        "lines of list_seq_train.txt with several cameras: must be 0, got 1 (1 too many; the first is line 3)"
    )
    assert words in read_ls_vid(root).mismatches
    sets.put(folder / "0002_0001_front.jpg")
    assert refusal(root).startswith(f"{folder}: an image must be named like")


def test_without_lists_or_index_the_places_looked_at_are_named(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    (root / "test" / "data" / "info_test.mat").unlink()
    assert "test/data/info_test.mat or info/data/info_test.mat or test/info_test.npy" in refusal(root)
    (root / "list_sequence" / "list_seq_train.txt").unlink()
    assert refusal(root) == f"{root / 'list_sequence' / 'list_seq_train.txt'}: the list is missing"


@given(
    st.lists(st.text("ab_", min_size=1, max_size=5), unique=True),
    st.lists(st.text("ab_", max_size=3), unique=True),
)
def test_a_name_belongs_to_its_longest_beginning(names: list[str], beginnings: list[str]) -> None:
    result = [array.to_pylist() for array in ls_vid._divide(sorted(names), beginnings)]
    wanted: list[list[str]] = [[] for _ in beginnings]
    for name in sorted(names):
        fitting = [index for index, beginning in enumerate(beginnings) if name.startswith(beginning)]
        if fitting:
            wanted[max(fitting, key=lambda index: len(beginnings[index]))].append(name)
    assert result == wanted


def test_the_tiny_index_has_the_shape_that_matlab_writes(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    content = (root / "test" / "data" / "info_test.mat").read_bytes()
    assert content.startswith(b"MATLAB 7.3")
    assert content[512:520] == b"\x89HDF\r\n\x1a\n"
    assert np.load(sets.ls_vid(tmp_path / "npy", "npy") / "test" / "info_test.npy").shape == (6, 4)
